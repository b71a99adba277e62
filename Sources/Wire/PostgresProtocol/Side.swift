/// Who sent a message: the message types of the two sides overlap, so every reader must know.
package enum Side: UInt8, Sendable, CaseIterable {
    case client
    case server
}
