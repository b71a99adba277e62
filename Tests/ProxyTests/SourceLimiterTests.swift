internal import EventLoop
internal import Testing

@testable import Proxy

struct SourceLimiterTests {
    private let source = SourceKey(high: 1, low: 2)

    @Test func `a source is over its limit for a minute and then forgiven`() {
        let limiter = SourceLimiter()
        for count in 0..<3 {
            #expect(!limiter.isExceeded(source, limit: 3, nowNanoseconds: UInt64(count)))
            limiter.note(source, nowNanoseconds: UInt64(count))
        }
        #expect(limiter.isExceeded(source, limit: 3, nowNanoseconds: 5))
        #expect(!limiter.isExceeded(SourceKey(high: 1, low: 3), limit: 3, nowNanoseconds: 5))
        #expect(!limiter.isExceeded(source, limit: 3, nowNanoseconds: 60_000_000_001))
        #expect(!limiter.isExceeded(source, limit: 0, nowNanoseconds: 5))
    }

    @Test func `a flood of sources does not grow the table without bound`() {
        let limiter = SourceLimiter()
        for low in 0..<70_000 {
            limiter.note(SourceKey(high: 0, low: UInt64(low)), nowNanoseconds: 1)
        }
        #expect(limiter.count <= 65_536)
    }

    @Test func `sockets of a source are counted down to nothing`() {
        let gauge = SourceGauge()
        #expect(gauge.take(source, limit: 2))
        #expect(gauge.take(source, limit: 2))
        #expect(!gauge.take(source, limit: 2))
        gauge.give(source)
        #expect(gauge.take(source, limit: 2))
        gauge.give(source)
        gauge.give(source)
        #expect(gauge.count == 0)
    }
}
