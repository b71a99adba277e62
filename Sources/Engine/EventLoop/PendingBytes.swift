/// Blocks for bytes that a peer did not take at once, kept for reuse.
///
/// - Bounds: blocks are `blockBytes` long; at most `keptMax` unused ones stay.
package final class BufferPool {
    package static let blockBytes = 96 * 1024
    private static let keptMax = 16
    private var free: [UnsafeMutableRawPointer] = []
    private var used = 0

    /// Bytes in blocks that sessions hold. Not stored as `package`, which would cost an exclusivity
    /// check where it is read.
    package var bytesInUse: Int { used }

    package init() { free.reserveCapacity(Self.keptMax) }

    deinit { for block in free { block.deallocate() } }

    func take(_ bytes: Int) -> UnsafeMutableRawPointer {
        used += bytes
        if bytes == Self.blockBytes, let block = free.popLast() { return block }
        return .allocate(byteCount: bytes, alignment: 16)
    }

    func give(_ block: UnsafeMutableRawPointer, _ bytes: Int) {
        used -= bytes
        if bytes == Self.blockBytes && free.count < Self.keptMax {
            free.append(block)
        } else {
            block.deallocate()
        }
    }
}

/// Bytes on their way to one peer, in order.
///
/// - Invariant: `0 <= start <= end <= capacity`; `start == end` means that no block is held.
package struct PendingBytes {
    private var block: UnsafeMutableRawPointer?
    private var start = 0
    private var end = 0
    private var capacity = 0

    package init() {}

    package var count: Int { end - start }
    package var isEmpty: Bool { start == end }

    /// Valid until the next call on this value.
    package var bytes: UnsafeRawBufferPointer {
        guard let block else { return UnsafeRawBufferPointer(start: nil, count: 0) }
        return UnsafeRawBufferPointer(start: block + start, count: end - start)
    }

    package mutating func append(_ bytes: UnsafeRawBufferPointer, pool: BufferPool) {
        guard let source = bytes.baseAddress, bytes.count > 0 else { return }
        makeRoom(bytes.count, pool)
        guard let block else { return }
        (block + end).copyMemory(from: source, byteCount: bytes.count)
        end += bytes.count
    }

    package mutating func removeFirst(_ count: Int, pool: BufferPool) {
        start = min(end, start + count)
        if start == end { release(pool) }
    }

    package mutating func release(_ pool: BufferPool) {
        if let block { pool.give(block, capacity) }
        block = nil
        start = 0
        end = 0
        capacity = 0
    }

    private mutating func makeRoom(_ more: Int, _ pool: BufferPool) {
        if capacity - end >= more { return }
        let used = end - start
        if let block, capacity - used >= more {
            block.copyMemory(from: block + start, byteCount: used)
        } else {
            var size = max(capacity, BufferPool.blockBytes)
            while size - used < more { size *= 2 }
            let larger = pool.take(size)
            if let block {
                larger.copyMemory(from: block + start, byteCount: used)
                pool.give(block, capacity)
            }
            block = larger
            capacity = size
        }
        start = 0
        end = used
    }
}
