internal import Foundation

/// A text that is kept in Tests/Golden, so that a change to it is seen in a review.
///
/// SNAP_UPDATE=1 writes what differs; `git diff` then shows it.
package enum Golden {
    /// nil when `text` is the kept one; else what differs, with both texts.
    package static func difference(_ name: String, _ text: String) throws -> String? {
        try difference(
            text, path: "\(Repository.root)/Tests/Golden/\(name)",
            updates: ProcessInfo.processInfo.environment["SNAP_UPDATE"] == "1")
    }

    /// The same for any path, e.g. a document below docs/ that is made from the code.
    package static func difference(_ text: String, path: String, updates: Bool) throws -> String? {
        let kept = readText(path)
        if kept == text { return nil }
        if updates {
            try writeFile(path, text)
            return nil
        }
        let pairs = zip(lines(kept), lines(text)).enumerated()
        let first = pairs.first { $0.element.0 != $0.element.1 }?.offset
        let number = (first ?? min(lines(kept).count, lines(text).count)) + 1
        return """
            \(path) differs from line \(number) on (SNAP_UPDATE=1 writes it).
            --- kept
            \(kept)--- found
            \(text)
            """
    }

    private static func lines(_ text: String) -> [Substring] {
        text.split(separator: "\n", omittingEmptySubsequences: false)
    }
}
