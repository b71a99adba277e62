import EventLoop
import Handoff
import PostgresProtocol
@testable import Proxy
import Telemetry

/// What a run came through, so that a test can tell whether the seeds reach what they are for.
struct Coverage {
    var reached: [String: Int] = [:]

    mutating func note(_ name: String, _ count: Int) {
        if count > 0 { reached[name, default: 0] += count }
    }
}

/// What must hold when everybody has gone.
extension Simulation {
    func finish() {
        for worker in workers where worker.isStopped { worker.run() }
        if plan.stopAt == nil {
            for client in clients { client.checkCompleteness() }
        }
        for worker in workers { checkWorker(worker) }
        checkShared()
        for worker in workers { worker.closeListeners() }
        checkRecords()
        // The pollers are closed with their workers.
        if kernel.openDescriptors != workers.count {
            fail("\(kernel.openDescriptors - workers.count) descriptors were not closed")
        }
    }

    func note(in coverage: inout Coverage) {
        for worker in workers {
            for counter in WorkerCounter.allCases {
                coverage.note("\(counter)", Int(worker.counters.value(counter)))
            }
            for end in SessionEnd.allCases {
                coverage.note("end \(end.rawValue)", Int(worker.counters.ends(end)))
            }
        }
        for client in clients {
            coverage.note("completed", client.isComplete && !client.wasCut ? 1 : 0)
            coverage.note("exchanges", client.completed)
            if let code = client.ownError { coverage.note("told \(code)", 1) }
        }
        coverage.note("cancels seen", clusters.flatMap(\.sessions).reduce(0) { $0 + $1.cancelsSeen })
        if !failures.isEmpty { coverage.note("failures", 1) }
    }

    private func checkWorker(_ worker: ProxyWorker) {
        if worker.table.inUse != 0 { fail("\(worker.table.inUse) slots were not released") }
        if worker.pool.bytesInUse != 0 { fail("\(worker.pool.bytesInUse) buffered bytes remain") }
        if worker.counters.value(.bufferedBytes) != 0 { fail("the gauge of buffered bytes is wrong") }
        for queue in worker.lookups.values
        where !queue.waiting.isEmpty || !queue.asked.isEmpty || queue.connection != nil {
            fail("a look-up queue is not empty")
        }
    }

    private func checkShared() {
        let counts = [
            ("sessions", shared.sessions.value), ("logins", shared.logins.value),
            ("loads", shared.loads.reduce(0) { $0 + $1.value }),
            ("tenant sessions", gauges.reduce(0) { $0 + $1.sessions.value }),
            ("tenant logins", gauges.reduce(0) { $0 + $1.loginsInFlight.value }),
        ]
        for (name, value) in counts where value != 0 { fail("the count of \(name) is \(value)") }
        for client in clients {
            let source = SocketAddress.ipv4(0x0A09_0000 + UInt32(client.index), port: 0).source
            if !shared.loginSources.take(source, limit: 1) {
                fail("the login of session \(client.session) is still counted for its source")
            }
            let key = CancelRequest(processID: client.processID, secret: client.secret)
            if !client.secret.isEmpty, shared.cancels.find(key) != nil {
                fail("the cancel key of session \(client.session) is still known")
            }
        }
    }

    /// One record for each connection that was accepted.
    private func checkRecords() {
        let count = telemetry.drain().values.reduce(0) { count, event in
            if case .sessionEnded = event { count + 1 } else { count }
        }
        if count != kernel.accepted {
            fail("\(count) sessions were reported of \(kernel.accepted) accepted connections")
        }
    }
}
