import TestSupport
import Testing

@testable import EventLoop

/// What a peer did not take, against a plain array.
@Suite struct PendingBytesTests {
    private static func append(_ bytes: [UInt8], to pending: inout PendingBytes, _ pool: BufferPool)
    {
        bytes.withUnsafeBytes { pending.append($0, pool: pool) }
    }

    @Test func `an empty value holds no block`() {
        let pool = BufferPool()
        var pending = PendingBytes()
        Self.append([], to: &pending, pool)
        pending.removeFirst(3, pool: pool)
        pending.release(pool)
        #expect(pending.isEmpty)
        #expect(pending.bytes.count == 0)
        #expect(pool.bytesInUse == 0)
    }

    @Test(arguments: UInt64(0)..<50)
    func `bytes come out in the order in which they went in`(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        let pool = BufferPool()
        var pending = PendingBytes()
        var model: [UInt8] = []
        for _ in 0..<60 {
            if Int.random(in: 0..<5, using: &random) < 3 {
                let sizes = [0, 1, 100, 5_000, BufferPool.blockBytes, 300_000]
                let bytes = [UInt8](
                    repeating: UInt8.random(in: 0...255, using: &random),
                    count: sizes.randomElement(using: &random) ?? 0)
                Self.append(bytes, to: &pending, pool)
                model += bytes
            } else {
                let count = Int.random(in: 0...(model.count + 1), using: &random)
                pending.removeFirst(count, pool: pool)
                model.removeFirst(min(count, model.count))
            }
            #expect(pending.count == model.count)
            #expect(pending.isEmpty == model.isEmpty)
            #expect(pending.bytes.elementsEqual(model))
            #expect(model.isEmpty == (pool.bytesInUse == 0))
        }
        pending.release(pool)
        #expect(pool.bytesInUse == 0)
    }

    @Test(arguments: [-1, 0, 1])
    func `a block is filled to its last byte before a larger one is taken`(difference: Int) {
        let pool = BufferPool()
        var pending = PendingBytes()
        Self.append(
            [UInt8](repeating: 7, count: BufferPool.blockBytes + difference), to: &pending, pool)
        #expect(pool.bytesInUse == BufferPool.blockBytes * (difference > 0 ? 2 : 1))
        pending.release(pool)
    }

    @Test func `room at the front of a block is used before a larger one is taken`() {
        let pool = BufferPool()
        var pending = PendingBytes()
        let half = BufferPool.blockBytes / 2
        Self.append([UInt8](repeating: 1, count: half), to: &pending, pool)
        Self.append([UInt8](repeating: 2, count: half), to: &pending, pool)
        pending.removeFirst(half, pool: pool)
        Self.append([UInt8](repeating: 3, count: half), to: &pending, pool)
        #expect(pool.bytesInUse == BufferPool.blockBytes)
        #expect(pending.bytes.prefix(half).allSatisfy { $0 == 2 })
        #expect(pending.bytes.suffix(half).allSatisfy { $0 == 3 })
        pending.release(pool)
    }

    @Test func `the pool gives a returned block out again and counts only what is held`() {
        let pool = BufferPool()
        let first = pool.take(BufferPool.blockBytes)
        pool.give(first, BufferPool.blockBytes)
        #expect(pool.bytesInUse == 0)
        let second = pool.take(BufferPool.blockBytes)
        #expect(first == second)
        let large = pool.take(2 * BufferPool.blockBytes)
        #expect(pool.bytesInUse == 3 * BufferPool.blockBytes)
        pool.give(large, 2 * BufferPool.blockBytes)
        pool.give(second, BufferPool.blockBytes)
        #expect(pool.bytesInUse == 0)
    }

    @Test func `more blocks than the pool keeps can be taken and given back`() {
        let pool = BufferPool()
        let blocks = (0..<40).map { _ in pool.take(BufferPool.blockBytes) }
        #expect(Set(blocks).count == 40)
        for block in blocks { pool.give(block, BufferPool.blockBytes) }
        #expect(pool.bytesInUse == 0)
    }
}
