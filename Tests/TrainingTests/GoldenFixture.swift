import BERT4RecModel
import Checkpoints
import Foundation
import Masking
import Testing

/// What Tests/Reference/make_golden.py wrote: transformers' BertForMaskedLM on a padded batch, whole last layer.
struct GoldenFixture {
  struct Contents: Decodable {
    // Named as in the file.
    // swift-format-ignore: AlwaysUseLowerCamelCase
    struct Model: Decodable {
      let vocab_size, hidden_size, num_attention_heads, intermediate_size, num_hidden_layers, max_position_embeddings: Int
    }
    struct Optimizer: Decodable {
      let learning_rate: Double
      let num_warmup_steps, num_train_steps, steps: Int
    }
    let configuration: Model
    let optimizer: Optimizer
    let instances: [[Int32]]
    let masked_positions: [[Int]]
    let labels: [[Int32]]
    let loss: Double
    let losses, learning_rates, gradient_norms: [Double]
    let activation_losses: [String: Double]
  }

  let contents: Contents
  let tensors: SafeTensors
  let activationTensors: SafeTensors

  init() throws {
    let folder = try #require(Bundle.module.resourceURL).appendingPathComponent("Fixtures")
    contents = try JSONDecoder().decode(
      Contents.self, from: Data(contentsOf: folder.appendingPathComponent("golden.json")))
    tensors = try SafeTensors(folder.appendingPathComponent("golden.safetensors").path)
    activationTensors = try SafeTensors(folder.appendingPathComponent("golden_activations.safetensors").path)
  }

  func configuration(_ activation: Activation = .gelu) -> ModelConfiguration {
    let model = contents.configuration
    return ModelConfiguration(
      vocabularySize: model.vocab_size, hiddenSize: model.hidden_size, layerCount: model.num_hidden_layers,
      headCount: model.num_attention_heads, intermediateSize: model.intermediate_size,
      maximumSequenceLength: model.max_position_embeddings, hiddenDropout: 0, attentionDropout: 0,
      activation: activation)
  }

  var batch: PackedBatch {
    var batch = PackedBatch()
    for (index, tokens) in contents.instances.enumerated() {
      for (position, token) in tokens.enumerated() {
        let label = contents.masked_positions[index].firstIndex(of: position).map { contents.labels[index][$0] }
        batch.append(token: token, label: label)
      }
      batch.endInstance(place: index)
    }
    return batch
  }

  /// A flat buffer of all tensors under a prefix.
  func flat(_ prefix: String, _ layout: ParameterLayout) throws -> [Float] {
    try layout.slots.flatMap { try tensors.floats("\(prefix)/\($0.name)") }
  }
}

/// max |a - b| relative to max |b|.
func relativeDistance(_ a: some Collection<Float>, _ b: some Collection<Float>) -> Float {
  let scale = b.map(abs).max() ?? 0
  let distance = zip(a, b).map { abs($0 - $1) }.max() ?? 0
  return zip(a, b).contains { $0.isNaN || $1.isNaN } ? .infinity : distance / max(scale, .leastNormalMagnitude)
}
