import BERT4RecModel
import Checkpoints
import Foundation
import SystemSupport
import Testing

/// Checkpoints of TensorFlow: one that it has written itself (by Tests/Reference/check_tensorflow.py), and ours.
@Suite struct TensorFlowModelTests {
  private let folder: TemporaryFolder
  private let reader: CheckpointReader
  private var out: String { folder.path + "/out" }
  private var prefix: String { out + "/model.ckpt-3" }

  init() throws {
    folder = try TemporaryFolder()
    let run = RunFolder(folder.path + "/run")
    let checkpoint = try Example.write(run, step: 3)
    reader = try CheckpointReader.open(checkpoint, withMoments: true)
    try ModelExport.writeTensorFlow(reader, to: folder.path + "/out")
  }

  private func open(_ path: String, withMoments: Bool = true) throws -> InitialModel {
    try InitialModel.open(path, withMoments: withMoments) { Issue.record("\($0)") }
  }

  private func floats(_ bytes: UnsafeRawBufferPointer?) -> [Float] {
    guard let bytes else { return [] }
    return stride(from: 0, to: bytes.count, by: 4).map { bytes.loadUnaligned(fromByteOffset: $0, as: Float.self) }
  }

  private func requireExample(_ model: InitialModel) {
    #expect(model.configuration == Example.configuration && model.itemIDs == Example.itemIDs && model.step == 3)
    #expect(Example.layout.slots.flatMap { floats(model.parameter($0)) } == Example.parameters)
    #expect(Example.layout.slots.flatMap { floats(model.moments($0)?.first) } == Example.firstMoment)
    #expect(Example.layout.slots.flatMap { floats(model.moments($0)?.second) } == Example.secondMoment)
  }

  @Test func readAsExported() throws {
    requireExample(try open(prefix))
    #expect(try open(prefix, withMoments: false).moments(Example.layout.slots[0]) == nil)
  }

  @Test func readAsTensorFlowWroteIt() throws {
    let resources = try #require(Bundle.module.resourceURL).path + "/Fixtures/tensorflow"
    for name in try FileSystem.list(resources) { _ = try folder.write(name, try FileSystem.read(resources + "/" + name)) }
    // What TensorFlow does not write: ours.
    for name in ["bert_config.json", "items.tsv"] { _ = try folder.write(name, try FileSystem.read(out + "/" + name)) }
    requireExample(try open(folder.path + "/model.ckpt-3"))
  }

  /// Names and shapes are the original's.
  @Test func anotherShapeIsRefused() throws {
    func refused(_ words: String, _ change: (String) -> String) throws {
      let path = out + "/bert_config.json"
      let good = try FileSystem.read(path)
      try FileSystem.writeDurably(path, Array(change(String(decoding: good, as: UTF8.self)).utf8))
      let error = failure { _ = try open(prefix) }
      #expect(error?.exitCode == .badData && error?.message.contains(words) == true, "\(error?.message ?? "")")
      try FileSystem.writeDurably(path, good)
    }
    try refused("\"bert/encoder/layer_0/intermediate/dense/kernel\" has the shape [6, 5]") {
      $0.replacing("\"intermediate_size\": 5", with: "\"intermediate_size\": 6")
    }
    try refused("no tensor \"bert/encoder/layer_2/attention/self/query/kernel\"") {
      $0.replacing("\"num_hidden_layers\": 2", with: "\"num_hidden_layers\": 3")
    }
    try refused("tensor \"bert/encoder/layer_1/attention/output/LayerNorm/beta\" is no part of this program's model") {
      $0.replacing("\"num_hidden_layers\": 2", with: "\"num_hidden_layers\": 1")
    }
    try refused("which does not go with \"vocab_size\" 10") { $0.replacing("\"vocab_size\": 9", with: "\"vocab_size\": 10") }
    try refused("\"directionality\" is no key of the original's BertConfig") {
      $0.replacing("\"vocab_size\"", with: "\"directionality\": \"bidi\",\n  \"vocab_size\"")
    }
  }

  @Test func whatIsMissingIsSaid() throws {
    for name in ["bert_config.json", "items.tsv"] {
      let good = try FileSystem.read(out + "/" + name)
      try FileSystem.removeRecursively(out + "/" + name)
      let error = failure { _ = try open(prefix) }
      #expect(error?.exitCode == .unreadable && error?.message.contains("has no \(name) beside it") == true)
      try FileSystem.writeDurably(out + "/" + name, good)
    }
    let file = failure { _ = try open(prefix + ".index") }
    #expect(file?.exitCode == .usage && file?.message.contains("give what their names begin with, \(prefix)") == true)
  }
}
