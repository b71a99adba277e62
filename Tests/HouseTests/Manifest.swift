import TestSupport

/// What Package.swift says about the rooms, and what the table of floors allows.
struct Manifest {
    struct Room {
        let floor: String
        let name: String
        let uses: [String]
    }

    let text: String
    let rooms: [Room]

    static let current = Manifest(text: readText("\(Repository.root)/Package.swift"))

    init(text: String) {
        self.text = text
        // room("Wire", "Authentication", ["PostgresProtocol", "COpenSSL"]), over one or more lines.
        let pattern = /\broom\(\s*"(\w+)",\s*"(\w+)"(?:,\s*\[([^\]]*)\])?\s*\)/
        var rooms = text.matches(of: pattern).map { match in
            Room(
                floor: String(match.1), name: String(match.2),
                uses: Self.words(match.3.map { String($0) } ?? ""))
        }
        let program = /\.executableTarget\(\s*name: "(\w+)",\s*dependencies: \[([^\]]*)\]/
        rooms += text.matches(of: program).map { match in
            Room(floor: "program", name: String(match.1), uses: Self.words(String(match.2)))
        }
        self.rooms = rooms
    }

    func room(_ name: String) -> Room? { rooms.first { $0.name == name } }

    /// Names in quotes are targets; bare ones are the packages that the manifest has words for.
    private static func words(_ list: String) -> [String] {
        let packages = [
            "yaml": "Yams", "http": "FlyingFox", "logging": "Logging",
            "arguments": "ArgumentParser",
        ]
        return list.split(whereSeparator: { ", \n".contains($0) }).map { word in
            let bare = String(word.filter { $0 != "\"" })
            return packages[bare] ?? bare
        }
    }
}

/// The table of floors of docs/architecture.md.
enum Floors {
    /// From the lowest to the highest; a room may use rooms of lower floors.
    static let order = ["C", "Wire", "Domain", "Engine", "Services", "program"]

    /// What a room may use on its own floor.
    static let sameFloor: [String: Set<String>] = [
        "Authentication": ["PostgresProtocol"],
        "CaptureFormat": ["PostgresProtocol"],
        "Telemetry": ["Handoff"],
        "EventLoop": ["Handoff", "Telemetry"],
        "ServerLogin": ["EventLoop"],
        "Playback": ["EventLoop", "ServerLogin"],
        "Tap": ["Handoff"],
    ]

    /// Rooms that use the standard library and the system's C libraries, and no package.
    static let withoutPackages = ["C", "Wire", "Domain", "Engine"]
    static let servicesWithoutPackages: Set<String> = ["Proxy", "Capture", "Shadow"]

    static let packages: Set<String> = ["Yams", "FlyingFox", "Logging", "ArgumentParser"]
    static let systemModules: Set<String> = ["Swift", "Glibc", "Synchronization"]
    static let cModules: Set<String> = ["CLinux", "COpenSSL", "CLibPQ", "CLZ4", "CPgQuery"]

    static func level(_ floor: String) -> Int { order.firstIndex(of: floor) ?? -1 }

    static func isFrugal(floor: String, name: String) -> Bool {
        withoutPackages.contains(floor) || servicesWithoutPackages.contains(name)
    }
}
