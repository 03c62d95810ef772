import BERT4RecModel
import Checkpoints
import InteractionData
import SystemSupport
import Testing

/// Every kind of damage to the newest of two checkpoints: it is named in one line and left untouched, and the older one is
/// taken.
@Suite struct DamageTests {
  static let files = CheckpointTests.files

  let folder: TemporaryFolder
  let run: RunFolder
  let newest: String

  init() throws {
    folder = try TemporaryFolder()
    run = RunFolder(folder.path + "/run")
    try Example.write(run, step: 10, shift: 10)
    newest = try Example.write(run, step: 20, shift: 20)
  }

  /// Names and hashes of all that is in a folder.
  private func contents(_ path: String) throws -> [String] {
    try FileSystem.list(path).map { name in
      let file = path + "/" + name
      return FileSystem.kind(file) == .file ? "\(name) \(sha256Hex(try FileSystem.read(file)))" : name
    }
  }

  private func expectOlder(
    naming words: String, _ what: String, sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let before = try contents(newest)
    var lines: [String] = []
    let checkpoint = try run.newestGood { lines.append($0) }
    #expect(checkpoint?.state.step == 10, "\(what)", sourceLocation: sourceLocation)
    #expect(
      checkpoint.map { Example.parameters(of: $0) } == Example.parameters.map { $0 + 10 }, "\(what)",
      sourceLocation: sourceLocation)
    #expect(
      lines.count == 1 && lines[0].contains("step-00000020") && lines[0].contains(words) && !lines[0].contains("\n"),
      "\(what): \(lines)", sourceLocation: sourceLocation)
    #expect(try contents(newest) == before, "\(what)", sourceLocation: sourceLocation)
  }

  /// Puts contents into a file of the newest checkpoint and makes trainer.json's record of it right.
  private func forge(_ file: String, _ bytes: [UInt8]) throws {
    try FileSystem.writeDurably(newest + "/" + file, bytes)
    var state = try TrainerState(decoding: FileSystem.read(newest + "/trainer.json"), path: "trainer.json")
    state.files[file] = FileRecord(sha256: sha256Hex(bytes), bytes: bytes.count)
    try FileSystem.writeDurably(newest + "/trainer.json", state.encoded())
  }

  /// Where parts of a file begin: the data and each tensor, or each line.
  private func borders(_ file: String, _ bytes: [UInt8]) throws -> [Int] {
    guard file.hasSuffix(".safetensors") else {
      return bytes.indices.filter { bytes[$0] == UInt8(ascii: "\n") }.map { $0 + 1 }
    }
    let tensors = try SafeTensors(newest + "/" + file)
    let start = bytes.count - tensors.data.count
    return [start - 1, start, start + 1] + tensors.tensors.map { start + $0.range.lowerBound }
  }

  @Test(arguments: files, [false, true]) func cutAtEveryBorder(file: String, isRecordRight: Bool) throws {
    if isRecordRight && file == "trainer.json" { return }
    let (bytes, trainer) = (try FileSystem.read(newest + "/" + file), try FileSystem.read(newest + "/trainer.json"))
    let lengths = Set([0, 1, 7, 8, 9, bytes.count - 1] + (try borders(file, bytes))).filter { $0 < bytes.count }
    #expect(lengths.count > 10)
    for length in lengths.sorted() {
      // JSON is whole without its last line end.
      if isRecordRight && file == "config.json" && length == bytes.count - 1 { continue }
      try FileSystem.writeDurably(newest + "/trainer.json", trainer)
      let cut = Array(bytes[..<length])
      if isRecordRight { try forge(file, cut) } else { try FileSystem.writeDurably(newest + "/" + file, cut) }
      // Items that are cut between two lines are well-formed, but not as many as the configuration has.
      try expectOlder(naming: file, "\(file) cut to \(length) bytes")
    }
  }

  @Test(arguments: files) func aByteFlippedInEveryPart(file: String) throws {
    let bytes = try FileSystem.read(newest + "/" + file)
    let borders = try borders(file, bytes)
    let places = Set([0, 7, 8] + borders + borders.map { $0 - 1 } + [bytes.count - 1]).filter { $0 < bytes.count }
    for place in places.sorted() {
      var damaged = bytes
      damaged[place] ^= 0x04
      try FileSystem.writeDurably(newest + "/" + file, damaged)
      try expectOlder(naming: file, "byte \(place) of \(file) flipped")
    }
  }

  /// A bit in the data of each tensor, the file's checksum made right: only the hash of all parameters is left to tell.
  @Test func aChangedTensorWithARightChecksum() throws {
    let path = newest + "/model.safetensors"
    let bytes = try FileSystem.read(path)
    for tensor in try SafeTensors(path).tensors {
      var damaged = bytes
      damaged[bytes.count - 4 * Example.layout.count + tensor.range.lowerBound] ^= 0x01
      try forge("model.safetensors", damaged)
      try expectOlder(naming: "parameter_hash", tensor.name)
    }
  }

  @Test(arguments: files) func notAFileAnyMore(file: String) throws {
    try FileSystem.removeRecursively(newest + "/" + file)
    try expectOlder(naming: file, "\(file) is missing")
    try FileSystem.createDirectories(newest + "/" + file + "/folder")
    try expectOlder(naming: file, "\(file) is a folder")
  }

  @Test func theWholeFolderIsSomethingElse() throws {
    for name in try FileSystem.list(newest) { try FileSystem.removeRecursively(newest + "/" + name) }
    try expectOlder(naming: "trainer.json", "empty")
  }

  /// With its checksum right, so that the version alone is what is refused.
  @Test func aNewerFormat() throws {
    let text = String(decoding: try FileSystem.read(newest + "/trainer.json"), as: UTF8.self)
    let newer = text.replacing("\"format_version\": 1,", with: "\"format_version\": 2,")
    #expect(newer != text)
    try FileSystem.writeDurably(newest + "/trainer.json", withRightChecksum(newer))
    try expectOlder(naming: "trainer.json has format_version 2", "newer")
  }

  /// What earlier programs did not record is not missed.
  @Test func anEarlierTrainer() throws {
    let text = String(decoding: try FileSystem.read(newest + "/trainer.json"), as: UTF8.self)
    let start = try #require(text.firstRange(of: "  \"arithmetic\": {")).lowerBound
    let end = try #require(text.firstRange(of: "  \"configuration\": {")).lowerBound
    try FileSystem.writeDurably(newest + "/trainer.json", withRightChecksum(String(text[..<start] + text[end...])))
    let state = try #require(try run.newestGood { Issue.record("\($0)") }?.state)
    #expect(state.step == 20 && state.arithmetic.isEmpty && state.configuration == Example.state(step: 20).configuration)
  }

  /// trainer.json's last member is the checksum of all text before its line.
  private func withRightChecksum(_ text: String) throws -> [UInt8] {
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    let body = lines.dropLast(3).joined(separator: "\n") + "\n"
    return Array((body + "  \"sha256\": \"\(sha256Hex(Array(body.utf8)))\"\n}\n").utf8)
  }

  /// Values of the right type that no writer wrote.
  @Test(arguments: [
    ("\"score\": 0.5", "\"score\": 1e999", "best.score"), ("\"score\": 0.5", "\"score\": -1e999", "best.score"),
    ("\"step\": 5,", "\"step\": -5,", "best.step"), ("\"step\": 20,", "\"step\": -20,", "\"step\""),
    ("\"step\": 20,", "\"step\": 9223372036854775808,", "\"step\""), ("\"step\": 20,", "\"step\": 30,", "of step 30"),
    ("\"seed\": 18446744073709551615", "\"seed\": 18446744073709551616", "\"seed\""),
  ])
  func aTrainerThatCannotBe(old: String, new: String, words: String) throws {
    try Example.write(run, step: 20, best: .init(step: 5, score: 0.5, metric: "ndcg@10[full]"), shift: 20)
    let text = String(decoding: try FileSystem.read(newest + "/trainer.json"), as: UTF8.self)
    let changed = text.replacing(old, with: new, maxReplacements: 1)
    #expect(changed != text)
    try FileSystem.writeDurably(newest + "/trainer.json", withRightChecksum(changed))
    try expectOlder(naming: words, new)
  }

  /// What a file brings into a message stays on its line and leaves the terminal alone.
  @Test func namesThatWouldControlTheTerminal() throws {
    let key = "\\n\u{9B}31m" + String(repeating: "x", count: 100_000)
    try forge("config.json", Array(("{\"\(key)\": 1, \"\(key)\": 2}").utf8))
    var lines: [String] = []
    _ = try run.newestGood { lines.append($0) }
    #expect(lines.count == 1 && lines[0].contains("is given twice at byte "))
    #expect(lines[0].contains("\\n\\x9B31mxxx") && lines[0].utf8.count < 5000)
    #expect(!lines[0].unicodeScalars.contains { $0.value < 0x20 || (0x7F..<0xA0).contains($0.value) })
  }

  /// Files of a checkpoint with other data, another configuration and other parameters, in every mixture.
  @Test func mixedWithAnotherRun() throws {
    let other = RunFolder(folder.path + "/other")
    let (configuration, layout) = (
      ModelConfiguration(
        vocabularySize: 9, hiddenSize: 6, layerCount: 2, headCount: 2, intermediateSize: 5, maximumSequenceLength: 7,
        hiddenDropout: 0.2, attentionDropout: 0.1, activation: .tanh, initializerRange: 0.07),
      Example.layout
    )
    let values = (0..<layout.count).map { Float($0) + 0.125 }
    let source = try values.withUnsafeBufferPointer { values in
      try CheckpointWriter(
        run: other, configuration: configuration, itemIDs: ExternalIDs((0..<5).map { [0x61, UInt8(0x30 + $0)] }),
        itemCounts: [5, 4, 3, 2, 1], keepCheckpoints: 1
      ).write(state: Example.state(step: 20), parameters: values, firstMoment: values, secondMoment: values)
    }
    let originals = try Self.files.map { try FileSystem.read(newest + "/" + $0) }
    let others = try Self.files.map { try FileSystem.read(source + "/" + $0) }
    for mixture in 1..<(1 << Self.files.count) - 1 {
      for (place, file) in Self.files.enumerated() {
        let isOther = mixture >> place & 1 == 1
        try FileSystem.writeDurably(newest + "/" + file, isOther ? others[place] : originals[place])
      }
      try expectOlder(naming: "is damaged", "mixture \(mixture)")
    }
  }

  /// A checkpoint under another one's name would be kept and removed by the wrong number.
  @Test func renamed() throws {
    let later = run.checkpointsPath + "/step-00000030"
    try FileSystem.rename(newest, later)
    var lines: [String] = []
    #expect(try run.newestGood { lines.append($0) }?.state.step == 10)
    #expect(lines.count == 1 && lines[0].contains("step-00000030/trainer.json is of step 20"), "\(lines)")
    // It is still a checkpoint for whoever names it.
    #expect(try CheckpointReader.open(later).state.step == 20)
  }
}
