import Foundation
import TestSupport
import Testing

/// The house: which room may use which.
@Suite struct FloorTests {
    private let manifest = Manifest.current

    /// `package import X`, `internal import struct X.Y`, `@testable import X` → X.
    static func imports(_ file: SourceFile) -> [(module: String, place: String)] {
        let kinds = "struct|class|enum|func|var|let|typealias|protocol"
        guard
            let pattern = try? Regex<(Substring, Substring)>(
                #"^\s*(?:@\w+(?:\([^)]*\))?\s+)*(?:\w+\s+)?import\s+(?:(?:\#(kinds))\s+)?(\w+)"#)
        else { return [] }
        return file.code.indices.compactMap { index in
            file.code[index].firstMatch(of: pattern).map { (String($0.1), file.place(index)) }
        }
    }

    @Test func `the manifest and the folders of Sources name the same rooms`() throws {
        #expect(manifest.rooms.count >= 12)
        let folders = Set(SourceFile.sources.compactMap { $0.room?.name })
            .subtracting(Floors.cModules)
        let named = Set(manifest.rooms.map(\.name))
        #expect(folders.symmetricDifference(named).sorted() == [])
        let misplaced = SourceFile.sources.filter { file in
            guard let room = file.room, let entry = manifest.room(room.name) else { return false }
            return entry.floor != room.floor
        }
        #expect(misplaced.map(\.path) == [])
    }

    @Test func `a room's line in the manifest names lower floors, and its own as the table says`() {
        var offenders: [String] = []
        for room in manifest.rooms {
            for use in room.uses {
                if Floors.packages.contains(use) {
                    if Floors.isFrugal(floor: room.floor, name: room.name) {
                        offenders.append("\(room.name) uses the package \(use)")
                    }
                    continue
                }
                if Floors.cModules.contains(use) { continue }
                guard let used = manifest.room(use) else {
                    offenders.append("\(room.name) uses \(use), which is no room")
                    continue
                }
                let isLower = Floors.level(used.floor) < Floors.level(room.floor)
                let isNamed =
                    used.floor == room.floor
                    && Floors.sameFloor[room.name]?.contains(use) ?? false
                if !isLower && !isNamed { offenders.append("\(room.name) uses \(use)") }
            }
        }
        #expect(offenders == [])
    }

    @Test func `a file imports what its room's line in the manifest names`() {
        var offenders: [String] = []
        for file in SourceFile.sources {
            guard let room = file.room, let entry = manifest.room(room.name) else { continue }
            var allowed = Set(entry.uses).union(Floors.systemModules)
            if !Floors.isFrugal(floor: room.floor, name: room.name) {
                allowed.formUnion(["Foundation", "FoundationEssentials", "Dispatch"])
            }
            for (module, place) in Self.imports(file) where !allowed.contains(module) {
                offenders.append(place)
            }
        }
        #expect(offenders == [])
    }

    @Test func `services never import one another`() {
        let services = Set(manifest.rooms.filter { $0.floor == "Services" }.map(\.name))
        #expect(services.count >= 3)
        let offenders = SourceFile.sources.filter { $0.room?.floor == "Services" }
            .flatMap { file in Self.imports(file).filter { services.contains($0.module) } }
        #expect(offenders.map(\.place) == [])
    }

    @Test func `Foundation stays out of Wire, Domain, Engine and Proxy`() {
        let offenders = SourceFile.sources.filter { file in
            guard let room = file.room else { return false }
            return Floors.isFrugal(floor: room.floor, name: room.name)
        }.flatMap { file in Self.imports(file).filter { $0.module.hasPrefix("Foundation") } }
        #expect(offenders.map(\.place) == [])
    }

    @Test func `no room holds a type of its own name`() {
        let offenders = SourceFile.sources.flatMap { file -> [String] in
            guard let room = file.room else { return [] }
            return file.code.indices.filter { index in
                let pattern = /(?:struct|class|enum|actor|protocol|typealias)\s+(\w+)/
                return file.code[index].matches(of: pattern).contains { $0.1 == room.name }
            }.map { file.place($0) }
        }
        #expect(offenders == [])
    }

    @Test func `atomics are in Handoff alone`() {
        let offenders = SourceFile.sources.filter { $0.room?.name != "Handoff" }
            .flatMap { $0.places(/\b(?:Atomic|AtomicLazyReference|atomicMemoryFence)\b/) }
        #expect(offenders == [])
    }

    @Test func `the manifest has no unsafe flags and makes warnings errors`() {
        #expect(!manifest.text.contains("unsafeFlags"))
        #expect(!manifest.text.contains("Ounchecked"))
        #expect(manifest.text.contains(".treatAllWarnings(as: .error)"))
    }
}
