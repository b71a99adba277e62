internal import Glibc

/// A condition that did not come true in time.
package struct DeadlinePassed: Error, CustomStringConvertible {
    package let description: String
}

/// Waits until `condition` is true, looking every few milliseconds.
///
/// - Errors: `DeadlinePassed` with `what`; anything that `condition` throws ends the wait at once.
package func waitUntil(
    deadline: Duration = .seconds(10), _ what: @autoclosure () -> String = "condition",
    _ condition: () throws -> Bool
) throws {
    _ = try waitFor(deadline: deadline, what()) { try condition() ? true : nil }
}

/// Waits until `value` is not nil and returns it.
@discardableResult
package func waitFor<Value>(
    deadline: Duration = .seconds(10), _ what: @autoclosure () -> String = "value",
    _ value: () throws -> Value?
) throws -> Value {
    let end = ContinuousClock.now + deadline
    var nap: UInt32 = 1_000
    while true {
        if let value = try value() { return value }
        if ContinuousClock.now >= end {
            throw DeadlinePassed(description: "not within \(deadline): \(what())")
        }
        usleep(nap)
        nap = min(nap * 2, 20_000)
    }
}
