/// A value that breaks a rule, found by validation.
package struct TenancyProblem: Sendable, Equatable {
    package let isWarning: Bool
    /// Keys and list positions from the document's root to the value, as in the document.
    package let path: [String]
    /// Lower case, no full stop.
    package let message: String
    /// What to do, a full sentence.
    package let hint: String?

    package init(_ path: [String], _ message: String, hint: String? = nil, isWarning: Bool = false)
    {
        self.path = path
        self.message = message
        self.hint = hint
        self.isWarning = isWarning
    }
}
