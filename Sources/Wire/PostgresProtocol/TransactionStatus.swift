/// The byte of ReadyForQuery.
package enum TransactionStatus: UInt8, Sendable, CaseIterable {
    /// `I`: no transaction block is open.
    case idle = 0x49
    /// `T`: inside a transaction block.
    case inTransaction = 0x54
    /// `E`: inside a failed transaction block, where only its end is accepted.
    case failed = 0x45
}
