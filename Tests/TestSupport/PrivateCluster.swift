internal import Foundation
internal import Synchronization

/// A PostgreSQL cluster of a test's own, on 127.0.0.1 and a unix socket; gone with its last
/// reference.
///
/// Without further settings: superuser `postgres` without password over the unix socket, everybody
/// with SCRAM over TCP, no TLS, nothing flushed to disk.
package final class PrivateCluster: Sendable {
    package struct Options: Sendable {
        package var major = 15
        /// TLS is on when there is a certificate.
        package var certificate: TestCertificate?
        /// The CA that client certificates are verified against (`clientcert=` in `hba`).
        package var clientCAPath: String?
        package var clientCRLPath: String?
        /// Lines of postgresql.conf that come last, so they win.
        package var settings: [String: String] = [:]
        /// Lines of pg_hba.conf that come before the usual ones.
        package var hba: [String] = []
        /// Whether the usual lines of pg_hba.conf follow `hba`.
        package var hasUsualHBA = true

        package init(major: Int = 15, certificate: TestCertificate? = nil) {
            self.major = major
            self.certificate = certificate
        }
    }

    package enum StopMode: Int32, Sendable {
        case smart = 15, fast = 2, immediate = 3
    }

    package let options: Options
    package let installation: PostgreSQLInstallation
    package let host = "127.0.0.1"
    /// The directory of the unix socket, for libpq's `host=`.
    package let socketDirectory: String
    package let dataDirectory: String
    package let logPath: String
    package var port: UInt16 { lock.port }

    private let directory: TemporaryDirectory
    private let lock: PortLock
    private let postmaster = Mutex<ChildProcess?>(nil)
    /// The processes that `pause` stopped.
    private let paused = Mutex<[Int32]>([])

    /// Makes the cluster and waits until it takes connections.
    package init(_ options: Options = Options()) throws {
        self.options = options
        installation = try PostgreSQLInstallation(major: options.major)
        lock = try PortLock()
        directory = try TemporaryDirectory("cluster")
        socketDirectory = directory.path
        dataDirectory = directory.file("data")
        logPath = directory.file("log")
        try ClusterTemplate.copy(installation, to: dataDirectory)
        try configure()
        try ServerUser.current.own(directory.path)
        try start()
    }

    package convenience init(major: Int, certificate: TestCertificate? = nil) throws {
        try self.init(Options(major: major, certificate: certificate))
    }

    deinit { stop(.immediate) }

    package var isRunning: Bool { postmaster.withLock { $0?.isRunning ?? false } }

    /// The postmaster's process, nil when it doesn't run.
    package var pid: Int32? { postmaster.withLock { $0?.pid } }

    package func start() throws {
        try launch()
        try waitUntil(deadline: .seconds(60), "cluster on port \(port) starts\n\(log)") {
            guard isRunning else { throw RunFailure(description: "no cluster:\n\(log)") }
            return readText("\(dataDirectory)/postmaster.pid").split(separator: "\n").last?
                .hasPrefix("ready") ?? false
        }
    }

    /// Starts the postmaster without waiting until it takes connections.
    package func launch() throws {
        let child = try ChildProcess(
            ServerUser.current.prefix + [
                installation.program("postgres"), "-D", dataDirectory,
            ], outputPath: logPath)
        postmaster.withLock { $0 = child }
    }

    /// Ends the postmaster by pg_ctl's word for it and waits for the end; SIGKILL at the deadline.
    package func stop(_ mode: StopMode = .fast, deadline: Duration = .seconds(30)) {
        // What hangs can't end.
        resume()
        let child = postmaster.withLock { running in
            defer { running = nil }
            return running
        }
        guard let child else { return }
        child.signal(mode.rawValue)
        if (try? child.wait(deadline: deadline)) == nil {
            child.signal(SIGKILL)
            _ = try? child.wait(deadline: .seconds(5))
        }
    }

    package func restart(_ mode: StopMode = .fast) throws {
        stop(mode)
        try start()
    }

    /// Has the postmaster read its configuration again.
    package func reload() { postmaster.withLock { $0?.signal(SIGHUP) } }

    /// SIGSTOP and SIGCONT of the postmaster and all its processes: a cluster that hangs.
    package func pause() throws {
        guard let pid else { throw RunFailure(description: "the cluster does not run") }
        let children = readText("/proc/\(pid)/task/\(pid)/children")
        let family = [pid] + children.split(separator: " ").compactMap { Int32($0) }
        for process in family {
            if process != pid { Watchdog.guardProcess(process) }
            kill(process, SIGSTOP)
        }
        paused.withLock { $0 = family }
    }

    package func resume() {
        let family = paused.withLock { paused in
            defer { paused = [] }
            return paused
        }
        for process in family {
            kill(process, SIGCONT)
            if process != pid { Watchdog.releaseProcess(process) }
        }
    }

    /// What the server has logged until now.
    package var log: String { readText(logPath) }

    package func writeFile(_ name: String, _ text: String) throws {
        let path = "\(dataDirectory)/\(name)"
        try TestSupport.writeFile(path, text, mode: 0o600)
        try ServerUser.current.own(path)
    }

    private func configure() throws {
        var lines = [
            "listen_addresses = '127.0.0.1'", "port = \(port)",
            "unix_socket_directories = '\(socketDirectory)'", "fsync = off",
            "synchronous_commit = off", "full_page_writes = off", "shared_buffers = 64MB",
            "max_connections = 200", "logging_collector = off", "log_connections = on",
            "log_disconnections = on", "log_line_prefix = '%m [%p] %q%u@%d '",
            "password_encryption = 'scram-sha-256'", "dynamic_shared_memory_type = mmap",
            "wal_level = logical",
        ]
        if let certificate = options.certificate {
            // The key's owner must be the server's user: the server has copies of its own.
            try copyIn(certificate.certificatePath, "server.crt")
            try copyIn(certificate.keyPath, "server.key")
            lines += [
                "ssl = on", "ssl_cert_file = 'server.crt'", "ssl_key_file = 'server.key'",
            ]
        }
        if let path = options.clientCAPath {
            try copyIn(path, "client-ca.crt")
            lines.append("ssl_ca_file = 'client-ca.crt'")
        }
        if let path = options.clientCRLPath {
            try copyIn(path, "client.crl")
            lines.append("ssl_crl_file = 'client.crl'")
        }
        lines += options.settings.sorted { $0.key < $1.key }.map { "\($0.key) = '\($0.value)'" }
        let configuration = readText("\(dataDirectory)/postgresql.conf")
        try TestSupport.writeFile(
            "\(dataDirectory)/postgresql.conf",
            configuration + "\n" + lines.joined(separator: "\n") + "\n", mode: 0o600)

        var hba = options.hba
        if options.hasUsualHBA {
            hba += [
                "local all postgres trust", "local replication postgres trust",
                "local all all scram-sha-256", "local replication all scram-sha-256",
                "host all all 127.0.0.1/32 scram-sha-256",
                "host replication all 127.0.0.1/32 scram-sha-256",
            ]
        }
        try TestSupport.writeFile(
            "\(dataDirectory)/pg_hba.conf", hba.joined(separator: "\n") + "\n", mode: 0o600)
    }

    private func copyIn(_ path: String, _ name: String) throws {
        try TestSupport.writeFile("\(dataDirectory)/\(name)", readText(path), mode: 0o600)
    }
}
