internal import COpenSSL

/// The worker's end of OpenSSL's own BIO: the bytes of one recv go in, what is to be sent comes
/// out. One per worker; every TLS session of the worker reads from and writes to it, one at a time.
///
/// - Bounds: `outputCapacity` holds more than one burst makes; a BIO that finds it full reports a
///   retry, which `TLSSession` takes as a failure of the session.
package final class TLSPipe {
    package static let outputCapacity = 256 * 1024

    fileprivate struct State {
        var input: UnsafeRawPointer?
        var inputCount = 0
        var output: UnsafeMutableRawPointer
        var outputCount = 0
    }

    fileprivate let state: UnsafeMutablePointer<State>

    package init() {
        state = .allocate(capacity: 1)
        state.initialize(
            to: State(output: .allocate(byteCount: Self.outputCapacity, alignment: 16)))
    }

    deinit {
        state.pointee.output.deallocate()
        state.deallocate()
    }

    /// Lends the bytes of one recv; they must stay valid until `inputCount` is 0 or the next call.
    package func setInput(_ bytes: UnsafeRawBufferPointer) {
        state.pointee.input = bytes.baseAddress
        state.pointee.inputCount = bytes.count
    }

    package var inputCount: Int { state.pointee.inputCount }

    /// Drops what a failed session did not take: the next session must not read it.
    package func dropInput() {
        state.pointee.input = nil
        state.pointee.inputCount = 0
    }

    /// What OpenSSL wants sent; valid until the next TLS call or `clearOutput`.
    package var output: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: state.pointee.output, count: state.pointee.outputCount)
    }

    package func clearOutput() { state.pointee.outputCount = 0 }

    /// A BIO for one TLS session; SSL_free frees it. nil when memory is short.
    func makeBIO() -> OpaquePointer? {
        guard let method = BIOMethod.shared.pointer, let bio = BIO_new(method) else { return nil }
        BIO_set_data(bio, UnsafeMutableRawPointer(state))
        BIO_set_init(bio, 1)
        return bio
    }
}

/// The method table that all BIOs of the process share; made once, read by all threads.
private struct BIOMethod: @unchecked Sendable {
    static let shared = BIOMethod()
    let pointer: OpaquePointer?

    init() {
        pointer = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "pgtee")
        guard let pointer else { return }
        BIO_meth_set_read(pointer, readFromPipe)
        BIO_meth_set_write(pointer, writeToPipe)
        BIO_meth_set_ctrl(pointer, controlPipe)
    }
}

private func pipeState(_ bio: OpaquePointer?) -> UnsafeMutablePointer<TLSPipe.State>? {
    BIO_get_data(bio)?.assumingMemoryBound(to: TLSPipe.State.self)
}

private func readFromPipe(
    _ bio: OpaquePointer?, _ buffer: UnsafeMutablePointer<CChar>?, _ count: Int32
) -> Int32 {
    guard let state = pipeState(bio), let buffer, count > 0 else { return -1 }
    pgtee_BIO_clear_retry_flags(bio)
    guard let input = state.pointee.input, state.pointee.inputCount > 0 else {
        pgtee_BIO_set_retry_read(bio)
        return -1
    }
    let taken = min(Int(count), state.pointee.inputCount)
    UnsafeMutableRawPointer(buffer).copyMemory(from: input, byteCount: taken)
    state.pointee.input = input + taken
    state.pointee.inputCount -= taken
    return Int32(taken)
}

private func writeToPipe(
    _ bio: OpaquePointer?, _ buffer: UnsafePointer<CChar>?, _ count: Int32
) -> Int32 {
    guard let state = pipeState(bio), let buffer, count > 0 else { return -1 }
    pgtee_BIO_clear_retry_flags(bio)
    let room = TLSPipe.outputCapacity - state.pointee.outputCount
    guard room > 0 else {
        pgtee_BIO_set_retry_write(bio)
        return -1
    }
    let taken = min(Int(count), room)
    (state.pointee.output + state.pointee.outputCount).copyMemory(
        from: UnsafeRawPointer(buffer), byteCount: taken)
    state.pointee.outputCount += taken
    return Int32(taken)
}

private func controlPipe(
    _ bio: OpaquePointer?, _ command: Int32, _ number: Int, _ pointer: UnsafeMutableRawPointer?
) -> Int {
    command == BIO_CTRL_FLUSH || command == BIO_CTRL_DUP ? 1 : 0
}
