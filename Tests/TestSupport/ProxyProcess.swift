internal import Foundation
internal import Synchronization

/// A running `pgtee serve` with documents of its own in a temporary directory.
package final class ProxyProcess: Sendable {
    package struct Options: Sendable {
        /// Lines of pgtee.yaml. `listen`, `admin`, `tenants`, `runtime_directory` and `log` are
        /// written here unless one of the lines begins with that key.
        package var service: [String] = []
        /// The certificate shown to clients; nil: no `tls` but what `service` says.
        package var certificate: TestCertificate?
        package var tenants: [TenantDocument] = []
        package var environment: [String: String] = [:]
        /// Words in front of the program, e.g. `["valgrind", "--tool=callgrind"]`.
        package var wrapper: [String] = []
        package var startDeadline = Duration.seconds(20)

        package init(
            tenants: [TenantDocument] = [], certificate: TestCertificate? = nil,
            service: [String] = []
        ) {
            self.tenants = tenants
            self.certificate = certificate
            self.service = service
        }
    }

    package let host = "127.0.0.1"
    package let directory: TemporaryDirectory
    package let configurationPath: String
    package let tenantsDirectory: String
    package let logPath: String
    package var port: UInt16 { portLock.port }
    package var adminPort: UInt16 { adminLock.port }
    /// The libpq address, without user and database.
    package var address: String { "host=\(host) port=\(port)" }
    package var pid: Int32 { process.withLock { $0?.pid } ?? 0 }

    private let options: Options
    private let portLock: PortLock
    private let adminLock: PortLock
    private let process = Mutex<ChildProcess?>(nil)

    /// Writes the documents, starts the program and waits until it is ready.
    package init(_ options: Options) throws {
        self.options = options
        directory = try TemporaryDirectory("proxy")
        portLock = try PortLock()
        adminLock = try PortLock()
        configurationPath = directory.file("pgtee.yaml")
        tenantsDirectory = directory.file("tenants")
        logPath = directory.file("log")
        for name in ["tenants", "run"] {
            try FileManager.default.createDirectory(
                atPath: directory.file(name), withIntermediateDirectories: false)
        }
        for tenant in options.tenants { try writeTenant(tenant) }
        try writeService(options.service)
        try start()
    }

    deinit {
        process.withLock { $0?.signal(SIGKILL) }
    }

    package var isRunning: Bool { process.withLock { $0?.isRunning ?? false } }

    package func start() throws {
        try launch()
        try waitUntil(deadline: options.startDeadline, "pgtee is ready\n\(log)") {
            guard isRunning else { throw RunFailure(description: "pgtee ended:\n\(log)") }
            return isReady
        }
    }

    /// Starts the program without waiting.
    package func launch() throws {
        let child = try ChildProcess(
            options.wrapper + [Repository.program, "serve", "--config", configurationPath],
            environment: options.environment, outputPath: logPath)
        process.withLock { $0 = child }
    }

    /// Whether `/readyz` answers 200.
    package var isReady: Bool { (try? fetch("/readyz").status) == 200 }

    package func signal(_ number: Int32) { process.withLock { $0?.signal(number) } }

    /// SIGTERM, and how the process ended. A drain may take as long as its configuration says.
    @discardableResult
    package func stop(deadline: Duration = .seconds(30)) throws -> ChildProcess.Ending? {
        guard let child = process.withLock({ $0 }) else { return nil }
        child.signal(SIGTERM)
        return try child.wait(deadline: deadline)
    }

    /// How the process ended; an error when it still runs at the deadline.
    package func wait(deadline: Duration = .seconds(30)) throws -> ChildProcess.Ending? {
        try process.withLock { $0 }?.wait(deadline: deadline)
    }

    package func writeTenant(_ tenant: TenantDocument) throws {
        try writeFile("\(tenantsDirectory)/\(tenant.name).yaml", tenant.yaml)
    }

    /// Any file in the tenants' directory, also one that is wrong on purpose.
    package func writeTenant(file: String, _ text: String) throws {
        try writeFile("\(tenantsDirectory)/\(file)", text)
    }

    package func removeTenant(_ name: String) throws {
        try FileManager.default.removeItem(atPath: "\(tenantsDirectory)/\(name).yaml")
    }

    /// Writes pgtee.yaml with these lines and the usual ones.
    package func writeService(_ lines: [String]) throws {
        var text = lines
        func usually(_ key: String, _ value: String) {
            if !lines.contains(where: { $0.hasPrefix("\(key):") }) {
                text.append("\(key): \(value)")
            }
        }
        usually("listen", "[127.0.0.1:\(port)]")
        usually("admin", "{listen: 127.0.0.1:\(adminPort)}")
        usually("tenants", "tenants/")
        usually("runtime_directory", directory.file("run"))
        usually("log", "{format: logfmt, level: debug}")
        if let certificate = options.certificate {
            usually(
                "tls",
                "{mode: prefer, certificate: \(certificate.certificatePath),"
                    + " key: \(certificate.keyPath)}")
        }
        try writeFile(configurationPath, text.joined(separator: "\n") + "\n")
    }

    package var log: String { readText(logPath) }

    package var logLines: [String] { log.split(separator: "\n").map { String($0) } }

    /// Waits for a log line that holds all of these pieces, and returns it.
    @discardableResult
    package func waitForLog(
        _ pieces: String..., deadline: Duration = .seconds(10)
    ) throws -> String {
        try waitFor(deadline: deadline, "a log line with \(pieces)\n\(log)") {
            logLines.first { line in pieces.allSatisfy { line.contains($0) } }
        }
    }
}
