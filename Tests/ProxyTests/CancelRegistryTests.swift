internal import EventLoop
internal import PostgresProtocol
internal import Testing

@testable import Proxy

struct CancelRegistryTests {
    @Test func `sessions with the same process ID get different secrets and are told apart`() {
        let registry = CancelRegistry(instance: 3)
        var secrets: [CancelSecret] = []
        for worker in 0..<200 {
            secrets.append(
                registry.register(
                    processID: 7, length: 4, target: .init(worker: worker, token: 1)))
        }
        #expect(Set(secrets.map(\.bytes)).count == 200)
        for (worker, secret) in secrets.enumerated() {
            let request = CancelRequest(processID: 7, secret: secret.bytes)
            #expect(registry.find(request)?.worker == worker)
            #expect(CancelRegistry.instance(of: request) == 3)
            registry.remove(processID: 7, secret: secret)
            #expect(registry.find(request) == nil)
        }
    }

    @Test func `a secret of another length, process or byte finds nothing`() {
        let registry = CancelRegistry(instance: 0)
        let secret = registry.register(
            processID: 7, length: 32, target: .init(worker: 0, token: 1))
        let bytes = secret.bytes
        #expect(bytes.count == 32)
        #expect(registry.find(CancelRequest(processID: 7, secret: bytes)) != nil)
        #expect(registry.find(CancelRequest(processID: 8, secret: bytes)) == nil)
        for count in 0..<32 {
            let short = CancelRequest(processID: 7, secret: Array(bytes[..<count]))
            #expect(registry.find(short) == nil)
        }
        for index in bytes.indices {
            var wrong = bytes
            wrong[index] ^= 1
            #expect(registry.find(CancelRequest(processID: 7, secret: wrong)) == nil)
        }
    }
}
