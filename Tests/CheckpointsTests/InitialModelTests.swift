import BERT4RecModel
import Checkpoints
import SystemSupport
import Testing

/// What a run may begin from.
@Suite struct InitialModelTests {
  let folder: TemporaryFolder
  let run: RunFolder

  init() throws {
    folder = try TemporaryFolder()
    run = RunFolder(folder.path + "/run")
    try Example.write(run, step: 3)
  }

  private var checkpoint: String { run.checkpointsPath + "/step-00000003" }

  private func open(_ path: String, withMoments: Bool = false) throws -> InitialModel {
    try InitialModel.open(path, withMoments: withMoments) { Issue.record("\($0)") }
  }

  private func parameters(of model: InitialModel) -> [Float] {
    Example.layout.slots.flatMap { slot in floats(model.parameter(slot)) }
  }

  private func floats(_ bytes: UnsafeRawBufferPointer) -> [Float] {
    stride(from: 0, to: bytes.count, by: 4).map { bytes.loadUnaligned(fromByteOffset: $0, as: Float.self) }
  }

  /// What Hugging Face's `save_pretrained` leaves of a checkpoint: tensors in an order of their own. `tensors` may change them.
  private func huggingFaceFolder(
    items: Bool = true, configuration: (String) -> String = { $0 },
    tensors change: (inout [(name: String, shape: [Int], values: [Float])]) -> Void = { _ in }
  ) throws -> String {
    let path = folder.path + "/hf"
    try FileSystem.createDirectories(path)
    let config = String(decoding: try FileSystem.read(checkpoint + "/config.json"), as: UTF8.self)
    _ = try folder.write("hf/config.json", configuration(config))
    if items { _ = try folder.write("hf/items.tsv", try FileSystem.read(checkpoint + "/items.tsv")) }
    var tensors = Example.layout.slots.map { (name: $0.name, shape: $0.shape, values: Array(Example.parameters[$0.range])) }
    tensors.sort { $0.name > $1.name }
    change(&tensors)
    try tensors.flatMap(\.values).withUnsafeBufferPointer { values in
      _ = try SafeTensors.write(path + "/model.safetensors", tensors: tensors.map { ($0.name, $0.shape) }, data: [values])
    }
    return path
  }

  @Test func aCheckpointOrItsRun() throws {
    for path in [checkpoint, run.path] {
      let model = try open(path, withMoments: true)
      #expect(model.path == checkpoint && model.step == 3 && model.configuration == Example.configuration)
      #expect(model.itemIDs == Example.itemIDs)
      #expect(parameters(of: model) == Example.parameters)
      #expect(Example.layout.slots.flatMap { model.moments($0).map { floats($0.first) } ?? [] } == Example.firstMoment)
      #expect(Example.layout.slots.flatMap { model.moments($0).map { floats($0.second) } ?? [] } == Example.secondMoment)
      #expect(try open(path).moments(Example.layout.slots[0]) == nil)
    }
  }

  @Test func aHuggingFaceFolderInItsOwnOrder() throws {
    let table = Array(Example.parameters[Example.layout.slots[0].range])
    let path = try huggingFaceFolder(tensors: { tensors in
      tensors.insert(("cls.predictions.decoder.weight", [9, 6], table), at: 0)
      tensors.append(("bert.embeddings.position_ids", [1, 7], [0, 1, 2, 3, 4, 5, 6]))
    })
    let model = try open(path)
    #expect(model.path == path && model.step == nil && model.configuration == Example.configuration)
    #expect(model.itemIDs == Example.itemIDs)
    #expect(parameters(of: model) == Example.parameters)
  }

  @Test func whatIsMissingIsSaid() throws {
    let path = try huggingFaceFolder(items: false)
    let items = failure { _ = try open(path) }
    #expect(items?.exitCode == .unreadable && items?.message.hasPrefix("\(path) has no items.tsv: ") == true)
    let moments = failure { _ = try open(path, withMoments: true) }
    #expect(moments?.exitCode == .usage && moments?.message.hasPrefix("\(path) has no optimizer.safetensors") == true)
    let absent = failure { _ = try open(folder.path + "/absent") }
    #expect(absent?.exitCode == .unreadable && absent?.message.contains("no such folder") == true)
    // An incomplete copy of a checkpoint is not taken for something else.
    try FileSystem.removeRecursively(checkpoint + "/trainer.json")
    let copy = failure { _ = try open(checkpoint) }
    #expect(copy?.exitCode == .unreadable && copy?.message.contains("has no trainer.json") == true)
  }

  @Test func anotherModelIsRefused() throws {
    func refused(_ words: String, _ path: () throws -> String) throws {
      let path = try path()
      let error = failure { _ = try open(path) }
      #expect(error?.exitCode == .badData && error?.message.contains(words) == true, "\(error?.message ?? "")")
    }
    try refused("\"cls.predictions.decoder.weight\" is not the same as") {
      try huggingFaceFolder(tensors: { $0.append(("cls.predictions.decoder.weight", [9, 6], [Float](repeating: 1, count: 54))) })
    }
    try refused("\"bert.pooler.dense.bias\" is no part of this program's model") {
      try huggingFaceFolder(tensors: { $0.append(("bert.pooler.dense.bias", [6], [1, 2, 3, 4, 5, 6])) })
    }
    try refused("no tensor \"cls.predictions.bias\"") {
      try huggingFaceFolder(tensors: { $0.removeAll { $0.name == "cls.predictions.bias" } })
    }
    try refused("is F32 [3, 3], the configuration asks for F32 [9]") {
      try huggingFaceFolder(tensors: { tensors in
        for index in tensors.indices where tensors[index].name == "cls.predictions.bias" { tensors[index].shape = [3, 3] }
      })
    }
    try refused("\"cls.predictions.bias\" has numbers that are not finite") {
      try huggingFaceFolder(tensors: { tensors in
        for index in tensors.indices where tensors[index].name == "cls.predictions.bias" { tensors[index].values[8] = .infinity }
      })
    }
    try refused("\"layer_norm_eps\" is 1e-05") {
      try huggingFaceFolder(configuration: { $0.replacing("\"layer_norm_eps\": 1e-12", with: "\"layer_norm_eps\": 1e-05") })
    }
    try refused("\"is_decoder\" is true") {
      try huggingFaceFolder(configuration: { $0.replacing("\"model_type\"", with: "\"is_decoder\": true,\n  \"model_type\"") })
    }
    try refused("which does not go with vocab_size 10") {
      try huggingFaceFolder(configuration: { $0.replacing("\"vocab_size\": 9", with: "\"vocab_size\": 10") })
    }
    try refused("items.tsv: an external id stands there twice") {
      let path = try huggingFaceFolder()
      let lines = (1...5).map { "\($0)\t\($0 == 4 ? "x2" : "x\($0)")\t1\n" }
      _ = try folder.write("hf/items.tsv", "id\texternal_id\tcount\n" + lines.joined())
      return path
    }
  }
}
