/// A read-only hash table from byte strings to small numbers, for names that arrive on the wire.
///
/// - Shape: all names in one array, slots with linear probing, at most half full.
/// - Cost: a look-up allocates nothing and copies nothing.
/// - Thread: any; it never changes once built.
struct PackedNames: Sendable {
    private var bytes: [UInt8] = []
    /// Entry n's name is `bytes[starts[n] ..< starts[n + 1]]`.
    private var starts: [Int] = [0]
    private var values: [Int32] = []
    /// Entry number + 1; 0: free.
    private var slots: [Int32] = [0, 0]

    var count: Int { values.count }

    init() {}

    init(capacity: Int) {
        var size = 2
        while size < capacity &* 2 { size <<= 1 }
        slots = Array(repeating: 0, count: size)
        values.reserveCapacity(capacity)
        starts.reserveCapacity(capacity + 1)
    }

    /// Enters a name; when it is there already nothing changes and its value is returned.
    mutating func insert(_ name: String, value: Int32) -> Int32? {
        insert(Array(name.utf8)[...], value: value)
    }

    mutating func insert(_ name: ArraySlice<UInt8>, value: Int32) -> Int32? {
        let slot = slot(of: name)
        if slots[slot] > 0 { return values[Int(slots[slot]) - 1] }
        bytes.append(contentsOf: name)
        starts.append(bytes.count)
        values.append(value)
        slots[slot] = Int32(values.count)
        if values.count * 2 > slots.count { grow() }
        return nil
    }

    /// Gives a name that is there another value.
    mutating func replace(_ name: String, value: Int32) {
        let slot = slot(of: Array(name.utf8)[...])
        if slots[slot] > 0 { values[Int(slots[slot]) - 1] = value }
    }

    func value(of name: ArraySlice<UInt8>) -> Int32? {
        if values.isEmpty { return nil }
        let entry = slots[slot(of: name)]
        return entry > 0 ? values[Int(entry) - 1] : nil
    }

    func value(of name: [UInt8]) -> Int32? { value(of: name[...]) }

    private func slot(of name: ArraySlice<UInt8>) -> Int {
        var hasher = Hasher()
        name.withUnsafeBytes { hasher.combine(bytes: $0) }
        let mask = slots.count - 1
        var slot = hasher.finalize() & mask
        while slots[slot] > 0, !holds(Int(slots[slot]) - 1, name) { slot = (slot + 1) & mask }
        return slot
    }

    private func holds(_ entry: Int, _ name: ArraySlice<UInt8>) -> Bool {
        bytes[starts[entry]..<starts[entry + 1]].elementsEqual(name)
    }

    private mutating func grow() {
        slots = Array(repeating: 0, count: slots.count * 2)
        for entry in 0..<values.count {
            let slot = slot(of: bytes[starts[entry]..<starts[entry + 1]])
            slots[slot] = Int32(entry + 1)
        }
    }
}
