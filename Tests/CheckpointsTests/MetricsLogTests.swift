import Checkpoints
import Glibc
import SystemSupport
import Testing

@Suite struct MetricsLogTests {
  let folder: TemporaryFolder
  let path: String

  init() throws {
    folder = try TemporaryFolder()
    path = folder.path + "/metrics.jsonl"
  }

  var text: String {
    get throws { String(decoding: try FileSystem.read(path), as: UTF8.self) }
  }

  @Test func writesALineAReport() throws {
    let log = try MetricsLog(path, resumingAfter: nil)
    try log.append([
      ("step", .int(10)), ("loss", .double(0.1)), ("parameter_hash", .string("a\"b\\c\n\u{1}é")),
      ("bad", .double(.nan)), ("ndcg@10[full]", .double(1)), ("tiny", .double(1e-05)),
    ])
    try log.append([("step", .int(20))])
    try log.sync()
    #expect(
      try text == #"{"step":10,"loss":0.1,"parameter_hash":"a\"b\\c\n\u0001é","bad":null,"#
        + #""ndcg@10[full]":1.0,"tiny":1e-05}"# + "\n" + #"{"step":20}"# + "\n")
  }

  @Test func resumingRemovesLaterSteps() throws {
    try FileSystem.replaceAtomically(
      path, "{\"step\":10}\n{\"step\":20,\"loss\":1}\n{\"step\":20,\"split\":\"test\"}\n{\"step\":30}\n")
    let log = try MetricsLog(path, resumingAfter: 20)
    #expect(log.removedLines == 1)
    try log.append([("step", .int(30)), ("loss", .double(2))])
    #expect(
      try text == "{\"step\":10}\n{\"step\":20,\"loss\":1}\n{\"step\":20,\"split\":\"test\"}\n"
        + "{\"step\":30,\"loss\":2.0}\n")
  }

  /// The crash may fall at any byte of the last line.
  @Test func aTornLineIsCutOff() throws {
    let first = "{\"step\":10,\"loss\":1.5}\n"
    let second = "{\"step\":20,\"loss\":1.25}\n"
    for cut in 0..<second.utf8.count {
      try FileSystem.replaceAtomically(path, first + second.prefix(cut))
      let log = try MetricsLog(path, resumingAfter: 20)
      #expect(log.removedLines == (cut == 0 ? 0 : 1))
      try log.append([("step", .int(30))])
      #expect(try text == first + "{\"step\":30}\n")
    }
  }

  @Test func unreadableLinesGo() throws {
    try FileSystem.writeDurably(
      path, Array("{\"step\":1}\n\0\0\0\n{\"loss\":1}\n[]\n\n{\"step\":\"2\"}\n{\"step\":3}\n".utf8) + [0xFF, 0x0A])
    let log = try MetricsLog(path, resumingAfter: 3)
    #expect(log.removedLines == 6)
    #expect(try text == "{\"step\":1}\n{\"step\":3}\n")
  }

  @Test func onlyARegularFile() throws {
    #expect(mkfifo(path, 0o600) == 0)
    let error = failure { _ = try MetricsLog(path, resumingAfter: 3) }
    #expect(error == ProgramFailure(.disk, "cannot write \(path): it is not a regular file"))
  }

  @Test func aNewRunStartsEmpty() throws {
    try FileSystem.replaceAtomically(path, "{\"step\":0}\n{\"step\":10}\n")
    #expect(try MetricsLog(path, resumingAfter: nil).removedLines == 2)
    #expect(try text.isEmpty)
    #expect(failure { _ = try MetricsLog(folder.path + "/none/metrics.jsonl", resumingAfter: nil) }?.exitCode == .disk)
  }
}
