import TestSupport
import Testing

@Suite struct GoldenTests {
    @Test func `a golden text that differs is reported with its line, and written when asked`()
        throws
    {
        let directory = try TemporaryDirectory("golden")
        let path = try directory.write("help.txt", "one\ntwo\n")
        #expect(try Golden.difference("one\ntwo\n", path: path, updates: false) == nil)
        let found = try Golden.difference("one\nTWO\n", path: path, updates: false)
        #expect(found?.contains("differs from line 2") == true)
        #expect(try Golden.difference("one\nTWO\n", path: path, updates: true) == nil)
        #expect(readText(path) == "one\nTWO\n")
    }
}
