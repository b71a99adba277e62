// swift-tools-version: 6.2
import PackageDescription

// The manifest is the table of floors of docs/architecture.md: a target uses what its line names
// and nothing else. Tests/HouseTests checks imports against it.

let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

func room(_ floor: String, _ name: String, _ uses: [Target.Dependency] = []) -> Target {
    .target(
        name: name, dependencies: uses, path: "Sources/\(floor)/\(name)", swiftSettings: settings)
}

func tests(_ name: String, _ uses: [Target.Dependency] = []) -> Target {
    .testTarget(
        name: name, dependencies: uses, path: "Tests/\(name)", swiftSettings: settings)
}

let yaml: Target.Dependency = .product(name: "Yams", package: "Yams")
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let arguments: Target.Dependency = .product(
    name: "ArgumentParser", package: "swift-argument-parser")

let package = Package(
    name: "pgtee",
    products: [.executable(name: "pgtee", targets: ["pgtee"])],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
    ],
    targets: [
        // C: module maps and inline shims for macros.
        .target(name: "CLinux", path: "Sources/C/CLinux"),
        .systemLibrary(
            name: "COpenSSL", path: "Sources/C/COpenSSL", pkgConfig: "openssl",
            providers: [.apt(["libssl-dev"])]),

        // Wire: no I/O, no clock.
        room("Wire", "PostgresProtocol"),
        room("Wire", "Authentication", ["PostgresProtocol", "COpenSSL"]),

        // Domain: values and decisions.
        room("Domain", "Tenancy", ["Authentication", "PostgresProtocol"]),

        // Engine: threads, descriptors, shared memory.
        room("Engine", "Handoff", ["CLinux"]),
        room("Engine", "Telemetry", ["Handoff"]),
        room("Engine", "EventLoop", ["CLinux", "COpenSSL", "Handoff", "Telemetry"]),
        room(
            "Engine", "ServerLogin",
            ["Authentication", "PostgresProtocol", "Tenancy", "EventLoop"]),
        room("Engine", "Tap", ["Handoff"]),

        // Services: they never import one another; the program joins them.
        room(
            "Services", "Proxy",
            [
                "CLinux", "COpenSSL", "PostgresProtocol", "Authentication", "Tenancy", "Handoff",
                "Telemetry", "EventLoop", "ServerLogin", "Tap",
            ]),
        room("Services", "Registry", ["CLinux", "Tenancy", "Authentication", yaml]),
        room("Services", "Admin", ["CLinux", "Telemetry", "Handoff", logging]),

        .executableTarget(
            name: "pgtee",
            dependencies: [
                "Proxy", "Registry", "Admin", "Tenancy", "Telemetry", "Handoff", "EventLoop",
                "CLinux", arguments, logging,
            ],
            path: "Sources/pgtee", swiftSettings: settings),

        // Tests. TestSupport starts real clusters, proxies and peers.
        .target(
            name: "TestSupport",
            dependencies: ["CLinux", "COpenSSL", "PostgresProtocol", "Authentication"],
            path: "Tests/TestSupport", swiftSettings: settings),
        tests("PostgresProtocolTests", ["PostgresProtocol", "TestSupport"]),
        tests(
            "AuthenticationTests",
            [
                "Authentication", "ServerLogin", "Tenancy", "PostgresProtocol", "COpenSSL",
                "TestSupport",
            ]),
        tests("TenancyTests", ["Tenancy", "TestSupport"]),
        tests("RegistryTests", ["Registry", "Tenancy", "TestSupport"]),
        tests(
            "TelemetryTests", ["Telemetry", "Handoff", "Admin", "CLinux", "TestSupport", logging]),
        tests(
            "EventLoopTests",
            ["EventLoop", "Handoff", "CLinux", "COpenSSL", "ServerLogin", "TestSupport"]),
        tests(
            "SimulationTests",
            [
                "Proxy", "EventLoop", "Handoff", "Telemetry", "Tenancy", "Tap", "ServerLogin",
                "PostgresProtocol", "Authentication", "CLinux", "COpenSSL", "TestSupport",
            ]),
        tests(
            "ProxyTests",
            [
                "Proxy", "EventLoop", "Handoff", "Telemetry", "Tenancy", "PostgresProtocol",
                "Authentication", "TestSupport",
            ]),
        tests("HouseTests", ["TestSupport"]),
        tests("CommandLineTests", ["TestSupport"]),
        tests(
            "IntegrationTests",
            ["TestSupport", "PostgresProtocol", "Authentication", "CLinux", "COpenSSL"]),
    ]
)
