package import Logging
internal import Telemetry

/// swift-log's way to the same writer, for libraries and the control part.
///
/// In the program: `LoggingSystem.bootstrap { WriterLogHandler(label: $0, writer: writer) }`.
package struct WriterLogHandler: LogHandler {
    package var metadata: Logger.Metadata = [:]
    package var metadataProvider: Logger.MetadataProvider?
    /// The writer filters by its own level; this one lets a logger be quieter.
    package var logLevel = Logger.Level.trace
    private let label: String
    private let writer: LogWriter

    package init(label: String, writer: LogWriter) {
        self.label = label
        self.writer = writer
    }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        let level: EventLevel =
            switch event.level {
            case .trace, .debug: .debug
            case .info: .info
            case .notice: .notice
            case .warning: .warning
            case .error, .critical: .error
            }
        guard writer.isEnabled(level) else { return }
        var all = metadata
        if let provided = metadataProvider?.get() { all.merge(provided) { $1 } }
        if let own = event.metadata { all.merge(own) { $1 } }
        var fields = [LogField(.component, .text(label))]
        for (key, value) in all.sorted(by: { $0.key < $1.key }) {
            fields.append(LogField(key, .text("\(value)")))
        }
        if let error = event.error { fields.append(LogField(.errorDetail, .text("\(error)"))) }
        writer.write(level, "\(event.message)", fields)
    }
}
