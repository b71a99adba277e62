/// A key of a document: what `pgtee schema`, docs/configuration.md and error texts say about it.
package struct KeyDescription: Sendable {
    /// When a changed value counts.
    package enum Reload: String, Sendable {
        /// From the next login on, without a restart.
        case login = "reload"
        case restart
    }

    package var name: String
    package var type: KeyType
    /// As one would write it; nil: none.
    package var defaultText: String?
    package var isRequired = false
    package var reload = Reload.login
    package var help: String
    package var children: [KeyDescription] = []
}

package indirect enum KeyType: Sendable {
    case text
    case tenantName
    case path
    case flag
    case integer(ClosedRange<Int>)
    /// Milliseconds.
    case duration(ClosedRange<Int>)
    /// Bytes.
    case size(ClosedRange<Int>)
    case choice([String])
    case list(KeyType)
    /// Names the reader chooses → values.
    case map(KeyType)
    case section
    /// One of several shapes; the words for people stand in front.
    case either(String, [KeyType])
    case constant(String)

    /// For people: errors and the guide.
    var words: String {
        switch self {
        case .text: "text"
        case .tenantName: "a tenant's name"
        case .path: "a file or directory"
        case .flag: "true or false"
        case .integer: "a whole number"
        case .duration: "a duration such as 250ms, 15s or 2m"
        case .size: "a size such as 256KiB or 64MB"
        case .choice(let words): "one of " + words.joined(separator: ", ")
        case .list(let element): "a list of " + element.plural
        case .map: "a mapping of names to text"
        case .section: "a mapping of keys"
        case .either(let words, _): words
        case .constant(let word): word
        }
    }

    private var plural: String {
        switch self {
        case .text: "texts"
        case .section: "mappings"
        case .choice(let words): "any of " + words.joined(separator: ", ")
        case .either(let words, _): words
        default: words
        }
    }

    var rangeText: String? {
        switch self {
        case .integer(let range): bounds(range) { "\($0)" }
        case .duration(let range): bounds(range, Units.durationText)
        case .size(let range): bounds(range, Units.sizeText)
        default: nil
        }
    }

    private func bounds(_ range: ClosedRange<Int>, _ text: (Int) -> String) -> String {
        "\(text(range.lowerBound)) to \(text(range.upperBound))"
    }
}
