import BERT4RecModel
import Checkpoints
import SystemSupport
import Testing

@Suite struct CheckpointTests {
  static let files = ["config.json", "items.tsv", "model.safetensors", "optimizer.safetensors", "trainer.json"]

  let folder: TemporaryFolder
  let run: RunFolder
  let path: String

  init() throws {
    folder = try TemporaryFolder()
    run = RunFolder(folder.path + "/run")
    path = try Example.write(run, step: 1000, best: .init(step: 500, score: 0.1 + 0.2, metric: "ndcg@10[full]"))
  }

  @Test func roundTrip() throws {
    #expect(path == folder.path + "/run/checkpoints/step-00001000")
    #expect(try FileSystem.list(path) == Self.files)
    let checkpoint = try CheckpointReader.open(path, withMoments: true)
    #expect(checkpoint.configuration == Example.configuration)
    #expect(checkpoint.itemIDs == Example.itemIDs)
    #expect(checkpoint.itemCounts == Example.itemCounts)

    var expected = Example.state(step: 1000, best: .init(step: 500, score: 0.1 + 0.2, metric: "ndcg@10[full]"))
    expected.parameterHash = Example.parameters.withUnsafeBytes { sha256Hex($0) }
    expected.files = checkpoint.state.files
    #expect(checkpoint.state == expected)
    #expect(checkpoint.state.files.keys.sorted() == Array(Self.files.dropLast()))

    #expect(Example.parameters(of: checkpoint) == Example.parameters)
    var first = [Float](repeating: 0, count: Example.layout.count)
    var second = first
    first.withUnsafeMutableBufferPointer { first in
      second.withUnsafeMutableBufferPointer { checkpoint.copyMoments(first: first, second: $0) }
    }
    #expect(first == Example.firstMoment)
    #expect(second == Example.secondMoment)
  }

  /// What Hugging Face and the recipes of docs/python.md rely on.
  @Test func filesAreOfTheirForms() throws {
    let items = try FileSystem.read(path + "/items.tsv")
    let lines = items.split(separator: UInt8(ascii: "\n")).map { String(decoding: $0, as: UTF8.self) }
    #expect(lines.count == 6)
    #expect(lines[0] == "id\texternal_id\tcount")
    #expect(lines[1] == #"1"# + "\t" + #"a\tb\nc\rd\\"# + "\t" + "5000000000")
    #expect(lines[2] == #"2"# + "\t" + #"\\n"# + "\t7")

    let config = try JSON.parse(FileSystem.read(path + "/config.json"))
    #expect(config["vocab_size"]?.int == 9)
    #expect(config["mask_token_id"]?.int == 6)
    #expect(config["max_position_embeddings"]?.int == 7)
    #expect(config["hidden_act"]?.string == "tanh")
    #expect(config["layer_norm_eps"]?.double == 1e-12)
    #expect(config["tie_word_embeddings"] == .bool(true))
    #expect(config["architectures"] == .array([.string("BertForMaskedLM")]))

    let optimizer = try SafeTensors(path + "/optimizer.safetensors")
    #expect(optimizer.tensors.count == 2 * Example.layout.slots.count)
    let slot = Example.layout.slots[7]
    #expect(try optimizer.floats("second_moment." + slot.name) == Array(Example.secondMoment[slot.range]))

    let model = try FileSystem.read(path + "/model.safetensors")
    let hash = try CheckpointReader.open(path).state.parameterHash
    #expect(sha256Hex(Array(model.suffix(4 * Example.layout.count))) == hash)
  }

  @Test func momentsAreReadOnlyWhenAskedFor() throws {
    try FileSystem.removeRecursively(path + "/optimizer.safetensors")
    #expect(Example.parameters(of: try CheckpointReader.open(path)) == Example.parameters)
    #expect(failure { _ = try CheckpointReader.open(path, withMoments: true) }?.exitCode == .unreadable)
  }

  // MARK: Damage

  @Test(arguments: files) func missing(file: String) throws {
    try FileSystem.removeRecursively(path + "/" + file)
    let error = failure { _ = try CheckpointReader.open(path, withMoments: true) }
    #expect(error?.exitCode == .unreadable)
    #expect(error?.message.contains(file) == true)
  }

  @Test(arguments: files) func cutShort(file: String) throws {
    let bytes = try FileSystem.read(path + "/" + file)
    let lengths = Set(0..<20).union(stride(from: 20, to: bytes.count, by: 61)).union([bytes.count - 1, bytes.count - 4])
    for length in lengths {
      try FileSystem.writeDurably(path + "/" + file, Array(bytes[..<length]))
      let error = failure { _ = try CheckpointReader.open(path, withMoments: true) }
      #expect(error?.exitCode == .badData, "\(length) bytes: \(error?.message ?? "")")
      #expect(error?.message.contains(file) == true)
    }
  }

  @Test(arguments: files) func flippedBytes(file: String) throws {
    let bytes = try FileSystem.read(path + "/" + file)
    for place in stride(from: 0, to: bytes.count, by: max(1, bytes.count / 120)) {
      var damaged = bytes
      damaged[place] ^= UInt8(1 << (place % 8))
      try FileSystem.writeDurably(path + "/" + file, damaged)
      let error = failure { _ = try CheckpointReader.open(path, withMoments: true) }
      #expect(error?.exitCode == .badData, "byte \(place): \(error?.message ?? "")")
    }
  }

  @Test(arguments: files) func somethingAppended(file: String) throws {
    try FileSystem.writeDurably(path + "/" + file, FileSystem.read(path + "/" + file) + [0x20])
    #expect(failure { _ = try CheckpointReader.open(path, withMoments: true) }?.exitCode == .badData)
  }

  @Test func newerFormat() throws {
    let text = String(decoding: try FileSystem.read(path + "/trainer.json"), as: UTF8.self)
    let newer = text.split(separator: "\"format_version\": 1", maxSplits: 1).joined(separator: "\"format_version\": 12")
    try FileSystem.writeDurably(path + "/trainer.json", Array(newer.utf8))
    let error = failure { _ = try CheckpointReader.open(path) }
    #expect(error?.exitCode == .badData)
    #expect(error?.message.contains("newer program (0.1.0)") == true, "\(error?.message ?? "")")
  }

  /// Puts other contents into a file and makes the checksums right, so that only the contents can be found wrong.
  func forge(_ file: String, _ bytes: [UInt8]) throws {
    try FileSystem.writeDurably(path + "/" + file, bytes)
    var state = try TrainerState(decoding: FileSystem.read(path + "/trainer.json"), path: "trainer.json")
    state.files[file] = FileRecord(sha256: sha256Hex(bytes), bytes: bytes.count)
    try FileSystem.writeDurably(path + "/trainer.json", state.encoded())
  }

  @Test(arguments: [
    ("hidden_size", "9"), ("hidden_size", "5"), ("hidden_size", "9223372036854775807"), ("num_hidden_layers", "1"),
    ("num_hidden_layers", "0"), ("num_attention_heads", "0"), ("num_attention_heads", "4"), ("vocab_size", "10"),
    ("vocab_size", "-1"), ("vocab_size", "2147483647"), ("mask_token_id", "5"), ("max_position_embeddings", "8"),
    ("intermediate_size", "1e3"), ("type_vocab_size", "1"), ("hidden_act", "\"gelu_new\""), ("model_type", "\"gpt2\""),
    ("hidden_dropout_prob", "1"),
  ])
  func configurationThatDoesNotGoWithTheRest(key: String, value: String) throws {
    let text = String(decoding: try FileSystem.read(path + "/config.json"), as: UTF8.self)
    let lines = text.split(separator: "\n").map { line in
      line.contains("\"\(key)\":") ? "  \"\(key)\": \(value)," : String(line)
    }
    #expect(lines.joined(separator: "\n") + "\n" != text)
    try forge("config.json", Array((lines.joined(separator: "\n") + "\n").utf8))
    #expect(failure { _ = try CheckpointReader.open(path) }?.exitCode == .badData)
  }

  @Test(arguments: [
    "", "id\texternal_id\tcount\n", "id\texternal_id\tcount\n1\ta\t1\n", "wrong\n1\ta\t1\n",
    "id\texternal_id\tcount\n1\ta\t1\n2\tb\t1\n3\tc\t1\n4\td\t1\n6\te\t1\n",
    "id\texternal_id\tcount\n1\ta\t1\n2\tb\t1\n3\tc\t1\n4\td\t1\n5\te\n",
    "id\texternal_id\tcount\n1\ta\t1\n2\tb\t1\n3\tc\t1\n4\td\t1\n5\te\t-1\n",
    "id\texternal_id\tcount\n1\ta\t1\n2\tb\t1\n3\tc\t1\n4\td\t1\n5\te\\x\t1\n",
    "id\texternal_id\tcount\n1\ta\t1\n2\tb\t1\n3\tc\t1\n4\td\t1\n5\te\\\t1\n",
    "id\texternal_id\tcount\n1\ta\t1\n2\tb\t1\n3\tc\t1\n4\td\t1\n5\te\t1",
  ])
  func itemsThatDoNotGoWithTheRest(text: String) throws {
    try forge("items.tsv", Array(text.utf8))
    let error = failure { _ = try CheckpointReader.open(path) }
    #expect(error?.exitCode == .badData)
    #expect(error?.message.contains("items.tsv") == true)
  }

  @Test func tensorOfAnotherName() throws {
    let text = try FileSystem.read(path + "/model.safetensors")
    let name = Array("predictions.bias".utf8)
    let start = try #require((0..<text.count - name.count).first { text[$0..<($0 + name.count)].elementsEqual(name) })
    var renamed = text
    renamed[start] = UInt8(ascii: "q")
    try forge("model.safetensors", renamed)
    let error = failure { _ = try CheckpointReader.open(path) }
    #expect(error?.exitCode == .badData)
    #expect(error?.message.contains("cls.qredictions.bias") == true)
  }

  @Test func notACheckpoint() throws {
    #expect(failure { _ = try CheckpointReader.open(folder.path + "/none") }?.exitCode == .unreadable)
    #expect(failure { _ = try CheckpointReader.open(path + "/config.json") }?.exitCode == .unreadable)
    let error = failure { _ = try CheckpointReader.open(folder.path) }
    #expect(error?.exitCode == .unreadable)
    #expect(error?.message.contains("trainer.json") == true)
  }
}
