import BERT4RecModel
import Masking
import Testing
import Training

@Suite struct GoldenTests {
  static let backends = ["native", "openblas", "reference"]

  private func encoder(_ backend: String, _ configuration: ModelConfiguration) -> BidirectionalEncoder {
    let backend: any Backend =
      switch backend {
      case "native": NativeBackend()
      case "openblas": OpenBLASBackend()
      default: ReferenceBackend()
      }
    return BidirectionalEncoder(configuration, backend: backend)
  }

  @Test(arguments: backends) func logitsAndLossArePyTorchs(_ backend: String) throws {
    let fixture = try GoldenFixture()
    let encoder = encoder(backend, fixture.configuration())
    let parameters = try fixture.flat("parameters", encoder.layout)
    let batch = fixture.batch
    var logits = [Float](repeating: 0, count: batch.maskedCount * encoder.configuration.vocabularySize)
    encoder.logits(batch, parameters: parameters, into: &logits)
    #expect(relativeDistance(logits, try fixture.tensors.floats("logits")) < 1e-4)
    let loss = encoder.loss(batch, parameters: parameters, gradients: nil, dropout: nil)
    #expect(abs(loss / Double(batch.maskedCount) - fixture.contents.loss) < 1e-5 * fixture.contents.loss)
  }

  @Test(arguments: [Activation.relu, .tanh, .linear]) func otherActivations(_ activation: Activation) throws {
    let fixture = try GoldenFixture()
    for backend in Self.backends {
      let encoder = encoder(backend, fixture.configuration(activation))
      let parameters = try fixture.flat("parameters", encoder.layout)
      let batch = fixture.batch
      var logits = [Float](repeating: 0, count: batch.maskedCount * encoder.configuration.vocabularySize)
      encoder.logits(batch, parameters: parameters, into: &logits)
      let golden = try fixture.activationTensors.floats("logits_\(activation.rawValue)")
      #expect(relativeDistance(logits, golden) < 1e-4)
    }
  }

  @Test(arguments: backends) func gradientsArePyTorchs(_ backend: String) throws {
    let fixture = try GoldenFixture()
    let encoder = encoder(backend, fixture.configuration())
    let parameters = try fixture.flat("parameters", encoder.layout)
    let batch = fixture.batch
    var gradients = [Float](repeating: 0, count: encoder.layout.count)
    _ = encoder.loss(batch, parameters: parameters, gradients: &gradients, dropout: nil)
    let mean = gradients.map { $0 / Float(batch.maskedCount) }
    let largest = mean.map(abs).max() ?? 0
    for slot in encoder.layout.slots {
      if slot.name.hasSuffix("key.bias") {
        // Mathematically zero: softmax does not see what is added to all of a row's scores.
        #expect((mean[slot.range].map(abs).max() ?? 0) <= 1e-6 * largest, "\(slot.name)")
      } else {
        let golden = try fixture.tensors.floats("gradients/\(slot.name)")
        #expect(relativeDistance(mean[slot.range], golden) < 1e-4, "\(slot.name)")
      }
    }
  }

  @Test(arguments: backends) func tenStepsArePyTorchs(_ backend: String) throws {
    let fixture = try GoldenFixture()
    let encoder = encoder(backend, fixture.configuration())
    let state = try ModelState(fixture.configuration())
    _ = state.parameters.update(from: try fixture.flat("parameters", state.layout))
    let settings = fixture.contents.optimizer
    let schedule = LearningRateSchedule(
      peak: settings.learning_rate, warmupSteps: settings.num_warmup_steps, totalSteps: settings.num_train_steps)
    var adam = Adam(state.layout)
    let batch = fixture.batch
    for step in 0..<settings.steps {
      var gradients = [Float](repeating: 0, count: state.layout.count)
      let base = try #require(UnsafePointer(state.parameters.baseAddress))
      let loss = encoder.loss(batch, parameters: base, gradients: &gradients, dropout: nil)
      let golden = fixture.contents.losses[step]
      #expect(abs(loss / Double(batch.maskedCount) - golden) < 1e-4 * golden, "step \(step)")
      adam.addSquares(gradients)
      let norm = adam.norm(maskedCount: batch.maskedCount)
      #expect(abs(norm - fixture.contents.gradient_norms[step]) < 1e-3 * norm)
      let rate = schedule.rate(step: step)
      #expect(abs(rate - fixture.contents.learning_rates[step]) < 1e-12)
      adam.begin(rate: rate, norm: norm, maskedCount: batch.maskedCount)
      adam.update(state, gradients: gradients)
    }
    for slot in state.layout.slots where !slot.name.hasSuffix("key.bias") {
      let golden = try fixture.tensors.floats("final/\(slot.name)")
      #expect(relativeDistance(Array(state.parameters[slot.range]), golden) < 1e-3, "\(slot.name)")
    }
  }
}
