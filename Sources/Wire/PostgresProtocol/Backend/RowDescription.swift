/// RowDescription: the columns of the rows that follow.
///
/// - Shape: count, 2 bytes; so many columns.
package struct RowDescription: Equatable, Sendable {
    package var columns: [Column]

    /// - Shape: name, string; table's OID, 4 bytes; column number, 2; type's OID, 4; type's size,
    ///   2, negative for variable; type modifier, 4; format, 2.
    package struct Column: Equatable, Sendable {
        package var name: [UInt8]
        package var table: UInt32
        package var number: Int16
        package var type: UInt32
        package var typeSize: Int16
        package var typeModifier: Int32
        package var format: Int16

        package init(
            name: [UInt8], table: UInt32 = 0, number: Int16 = 0, type: UInt32, typeSize: Int16,
            typeModifier: Int32 = -1, format: Int16 = 0
        ) {
            self.name = name
            self.table = table
            self.number = number
            self.type = type
            self.typeSize = typeSize
            self.typeModifier = typeModifier
            self.format = format
        }
    }

    package init(columns: [Column]) { self.columns = columns }

    init(_ body: RawSpan) throws(ProtocolViolation) {
        var reader = WireReader(type: BackendType.rowDescription)
        let count = Int(try reader.uint16(body))
        columns = []
        columns.reserveCapacity(reader.capacity(count, itemBytes: 19, body))
        for _ in 0..<count {
            columns.append(
                Column(
                    name: try reader.string(body), table: try reader.uint32(body),
                    number: try reader.int16(body), type: try reader.uint32(body),
                    typeSize: try reader.int16(body), typeModifier: try reader.int32(body),
                    format: try reader.int16(body)))
        }
        try reader.finish(body)
    }

    package func encode(into writer: inout MessageWriter) throws(EncodingError) {
        try writer.message(backend: BackendType.rowDescription) { (writer) throws(EncodingError) in
            try writer.append(count: columns.count)
            for column in columns {
                try writer.append(string: column.name)
                writer.append(column.table)
                writer.append(column.number)
                writer.append(column.type)
                writer.append(column.typeSize)
                writer.append(column.typeModifier)
                writer.append(column.format)
            }
        }
    }
}
