import TestSupport
import Testing

@testable import EventLoop

@Suite struct TimerHeapTests {
    private static func token(_ slot: Int) -> EventToken {
        EventToken(kind: 4, slot: UInt32(slot), generation: 1)
    }

    @Test(arguments: UInt64(0)..<20)
    func `deadlines come due in their order and never early`(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        var heap = TimerHeap()
        var model: [UInt64] = []
        var now: UInt64 = 0
        for round in 0..<300 {
            if Bool.random(using: &random) {
                let deadline = now + UInt64.random(in: 0...1_000, using: &random)
                heap.insert(deadlineNanoseconds: deadline, token: Self.token(round))
                model.append(deadline)
            }
            now += UInt64.random(in: 0...20, using: &random)
            var last: UInt64 = 0
            while let entry = heap.popDue(nowNanoseconds: now) {
                #expect(entry.deadlineNanoseconds <= now)
                #expect(entry.deadlineNanoseconds >= last)
                last = entry.deadlineNanoseconds
                let index = model.firstIndex(of: last)
                #expect(index != nil)
                if let index { model.remove(at: index) }
            }
            #expect(model.allSatisfy { $0 > now })
            #expect(heap.count == model.count)
            #expect(heap.nextDeadlineNanoseconds == model.min())
        }
    }

    @Test func `the wait is rounded up so that a wake-up is never too early`() {
        var heap = TimerHeap()
        #expect(
            TimerHeap.timeoutMilliseconds(
                until: heap.nextDeadlineNanoseconds ?? .max, now: 5) == -1)
        heap.insert(deadlineNanoseconds: 10_000_001, token: Self.token(1))
        #expect(
            TimerHeap.timeoutMilliseconds(
                until: heap.nextDeadlineNanoseconds ?? .max, now: 10_000_001) == 0)
        #expect(
            TimerHeap.timeoutMilliseconds(
                until: heap.nextDeadlineNanoseconds ?? .max, now: 20_000_000) == 0)
        #expect(
            TimerHeap.timeoutMilliseconds(
                until: heap.nextDeadlineNanoseconds ?? .max, now: 10_000_000) == 1)
        #expect(
            TimerHeap.timeoutMilliseconds(
                until: heap.nextDeadlineNanoseconds ?? .max, now: 9_000_001) == 1)
        #expect(
            TimerHeap.timeoutMilliseconds(
                until: heap.nextDeadlineNanoseconds ?? .max, now: 9_000_000) == 2)
        #expect(
            TimerHeap.timeoutMilliseconds(
                until: heap.nextDeadlineNanoseconds ?? .max, now: 0) == 11)
    }

    @Test func `a deadline near the end of time fits the wait`() {
        var heap = TimerHeap()
        heap.insert(deadlineNanoseconds: .max - 1, token: Self.token(1))
        #expect(
            TimerHeap.timeoutMilliseconds(
                until: heap.nextDeadlineNanoseconds ?? .max, now: 0) == 3_600_000)
    }
}

@Suite struct EventTokenTests {
    @Test(arguments: [UInt32(0), 1, 0x7FFF_FFFF, 0xFFFF_FFFF], [UInt32(0), 1, 0x0FFF_FFFF])
    func `slot, generation and kind come back`(slot: UInt32, generation: UInt32) {
        for kind in UInt8(0)...15 {
            let token = EventToken(kind: kind, slot: slot, generation: generation)
            #expect(token.kind == kind)
            #expect(token.slot == Int(slot))
            #expect(token.generation == generation)
            #expect(EventToken(raw: token.raw) == token)
        }
    }

    @Test func `a generation beyond its bits does not reach the kind`() {
        let token = EventToken(kind: 3, slot: 9, generation: 0x1000_0001)
        #expect(token.generation == 1)
        #expect(token.kind == 3)
        #expect(token.slot == 9)
    }
}
