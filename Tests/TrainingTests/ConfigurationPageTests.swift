import Foundation
import Testing
import Training

@Suite struct ConfigurationPageTests {
  /// The tables of docs/configuration.md are what the code says. With BERT4REC_WRITE_DOCS=1 the test rewrites them.
  @Test func pageOfKeysIsTheCodes() throws {
    let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
      .appendingPathComponent("docs/configuration.md")
    let defaults = RunSettings().values
    let rows = ConfigurationKey.all.map { key in
      let value = defaults[key.name] ?? ""
      let mayChange = key.mayChangeOnResume ? "yes" : "no"
      return "| `\(key.name)` | \(value.isEmpty ? "none" : value) | \(key.help) | \(mayChange) |"
    }
    let table = ["| key | default | meaning | may change on resume |", "| --- | --- | --- | --- |"] + rows
    var lines = try String(contentsOf: file, encoding: .utf8).components(separatedBy: "\n")
    let start = try #require(lines.firstIndex { $0.hasPrefix("| key |") }, "\(file.path) has no table of keys")
    let end = lines[start...].firstIndex { !$0.hasPrefix("|") } ?? lines.endIndex
    if ProcessInfo.processInfo.environment["BERT4REC_WRITE_DOCS"] == "1" {
      lines.replaceSubrange(start..<end, with: table)
      try lines.joined(separator: "\n").write(to: file, atomically: true, encoding: .utf8)
    } else {
      #expect(
        Array(lines[start..<end]) == table,
        "docs/configuration.md differs from the code; `BERT4REC_WRITE_DOCS=1 swift test -c release --filter ConfigurationPage` writes it")
    }
  }
}
