/// What every fuzz target shares. A target is one file with `LLVMFuzzerTestOneInput`; tools/fuzz.sh
/// builds it with this file and the rooms that tools/fuzz-targets names.
enum FuzzInput {
    /// The input as an array; libFuzzer hands out nil for an empty one.
    static func bytes(_ data: UnsafePointer<UInt8>?, _ count: Int) -> [UInt8] {
        guard let data, count > 0 else { return [] }
        return [UInt8](UnsafeBufferPointer(start: data, count: count))
    }

    /// Ends the process when a property does not hold, which libFuzzer reports with its input.
    static func require(_ condition: Bool, _ property: StaticString) {
        if !condition { fatalError("property does not hold: \(property)") }
    }
}
