import BERT4RecModel
import CKernels
import Masking
import Testing

/// One arithmetic: every clone with fused multiply-adds gives the same bits, whatever its registers and tiles, so the same run has the
/// same `parameter_hash` on every such processor. What a clone's processor lacks cannot be run here; its tiles can.
@Suite struct CloneTests {
  static let exact = TestBackend.clones.filter(\.isExact)

  @Test func severalClonesAreCompared() {
    // Where there is no AVX2, only the baseline can run, and there is nothing to compare.
    let names = TestBackend.clones.map(\.name)
    #expect(names.last == "baseline" || names == ["aarch64"])
    if names.contains("x86-64-v3") { #expect(Self.exact.count >= 2) }
  }

  /// The whole model on odd shapes, one of them with heads and inner dimensions above a block of the inner index.
  @Test(
    .disabled(if: exact.count < 2, "this processor runs fewer than two clones with fused multiply-add"),
    arguments: [
      (21, 3, 34, Activation.gelu), (64, 2, 256, .gelu), (40, 1, 70, .tanh), (300, 1, 530, .relu), (7, 7, 5, .linear),
    ])
  func lossAndGradient(_ hidden: Int, _ heads: Int, _ intermediate: Int, _ activation: Activation) {
    let configuration = ModelConfiguration(
      vocabularySize: 2 * MaskedItemLoss.tileWidth + 31, hiddenSize: hidden, headCount: heads,
      intermediateSize: intermediate, maximumSequenceLength: 130, hiddenDropout: 0.2, attentionDropout: 0.3,
      activation: activation)
    var batch = PackedBatch()
    for (place, length) in [130, 1, 23, 2, 97, 61].enumerated() {
      for position in 0..<length {
        let token = Int32((place * 131 + position * 37) % (configuration.vocabularySize - 5) + 1)
        let isMasked = position % 3 == 0 || position == length - 1
        batch.append(token: isMasked ? 2 : token, label: isMasked ? token : nil)
      }
      batch.endInstance(place: place)
    }
    let results = Self.exact.map { clone -> (loss: Double, gradient: [Float], logits: [Float]) in
      let encoder = BidirectionalEncoder(
        configuration, backend: NativeBackend(kernels: clone.kernels), blockRows: 160)
      let parameters = Example.parameters(encoder.layout)
      var gradient = [Float](repeating: 0, count: encoder.layout.count)
      let loss = encoder.loss(batch, parameters: parameters, gradients: &gradient, dropout: DropoutKey(seed: 1, step: 9))
      var logits = [Float](repeating: 0, count: batch.maskedCount * configuration.vocabularySize)
      encoder.logits(batch, parameters: parameters, into: &logits)
      return (loss, gradient, logits)
    }
    #expect(results[0].loss.isFinite && results[0].gradient.contains { $0 != 0 })
    for (clone, result) in zip(Self.exact, results).dropFirst() {
      #expect(result.loss == results[0].loss, "\(clone.name)")
      #expect(result.gradient == results[0].gradient, "\(clone.name)")
      #expect(result.logits == results[0].logits, "\(clone.name)")
    }
  }

  /// Every rank updates its own replica, so here the baseline too must give the same bits; also where the count is no multiple of 16.
  @Test(arguments: [1, 16, 37, 4099]) func optimizer(_ count: Int) {
    var numbers = TestNumbers(21)
    let settings = kernel_adam(
      learning_rate: 1e-3, beta1: 0.9, beta2: 0.999, gradient_weight1: 0.1, gradient_weight2: 0.001, epsilon: 1e-6,
      weight_decay: 0.01, gradient_scale: 0.37)
    let gradients = numbers.array(count)
    let start = (numbers.array(count), numbers.array(count), numbers.array(count).map(abs))
    var bitSums: [[UInt64]] = []
    let results = TestBackend.clones.map { clone -> ([Float], [Float], [Float], Double, [Float]) in
      var (parameters, first, second) = start
      let sums = clone.kernels.pointee.adam_update(settings, &parameters, gradients, &first, &second, count)
      bitSums.append([sums.before, sums.after])
      #expect(clone.kernels.pointee.bit_sum(start.0, start.1, start.2, count) == sums.before, "\(clone.name)")
      #expect(clone.kernels.pointee.bit_sum(parameters, first, second, count) == sums.after, "\(clone.name)")
      var sum = start.0
      clone.kernels.pointee.add(&sum, gradients, count)
      return (parameters, first, second, clone.kernels.pointee.sum_of_squares(gradients, count), sum)
    }
    #expect(results[0].0 != start.0)
    for result in results { #expect(result == results[0]) }
    #expect(Set(bitSums).count == 1 && bitSums[0][0] != bitSums[0][1])
  }

  /// Updates without a gradient: one after the other or in pieces, with any clone, the bits are those of updates with gradients of 0,
  /// until a first moment is spent; and then what double precision says of it.
  @Test(arguments: [1, 16, 37, 64, 4099]) func idleUpdates(_ count: Int) {
    var numbers = TestNumbers(23)
    let settings = kernel_adam(
      learning_rate: 0, beta1: 0.9, beta2: 0.999, gradient_weight1: 0.1, gradient_weight2: 0.001, epsilon: 1e-6, weight_decay: 0.01,
      gradient_scale: 0.37)
    let rates = (0..<500).map { Float(1e-3) * (1 - Float($0) / 800) }
    let spent: Float = 1e-12
    let gradients = numbers.array(count).map { ($0 < 0 ? $0 - 1 : $0 + 1) * 1e-3 }
    let start = (numbers.array(count), gradients.map { $0 * 0.1 }, gradients.map { $0 * $0 * 0.001 })
    let kernels = TestBackend.clones[0].kernels.pointee
    // No moment is spent in the first hundred.
    var plain = start
    let zeros = [Float](repeating: 0, count: count)
    for rate in rates[..<100] {
      var settings = settings
      settings.learning_rate = rate
      _ = kernels.adam_update(settings, &plain.0, zeros, &plain.1, &plain.2, count)
    }
    let ends = [[500], [1, 4, 100, 260, 500]].flatMap { ends in
      TestBackend.clones.map { clone -> ([Float], [Float], [Float]) in
        var (state, done) = (start, 0)
        for end in ends {
          let before = clone.kernels.pointee.bit_sum(state.0, state.1, state.2, count)
          let sums = clone.kernels.pointee.adam_idle(
            settings, Array(rates[done..<end]), end - done, spent, &state.0, &state.1, &state.2, count)
          #expect(sums.before == before, "\(clone.name)")
          #expect(sums.after == clone.kernels.pointee.bit_sum(state.0, state.1, state.2, count), "\(clone.name)")
          done = end
          // Not the arrays themselves, which nobody wants to read.
          let isPlain = state == plain
          if end == 100 { #expect(isPlain, "\(clone.name)") }
        }
        return state
      }
    }
    let isOne = ends.allSatisfy { $0 == ends[0] }
    #expect(isOne)
    #expect(ends[0].1.allSatisfy { $0 == 0 } && ends[0].2 != start.2)
    for index in 0..<count {
      var (p, m, v) = (Double(start.0[index]), Double(start.1[index]), Double(start.2[index]))
      for rate in rates {
        (m, v) = (m * 0.9, v * 0.999)
        p -= Double(rate) * (m / (v.squareRoot() + 1e-6) + 0.01 * p)
      }
      if abs(p - Double(ends[0].0[index])) > 1e-5 { Issue.record("\(index): \(ends[0].0[index]) for \(p)") }
    }
  }

  /// Whichever bit of whichever number flips, the bit sum tells.
  @Test func bitSumSeesEveryFlippedBit() {
    var numbers = TestNumbers(22)
    let count = 37
    let arrays = (0..<3).map { _ in numbers.array(count) }
    for clone in TestBackend.clones {
      func sum(_ arrays: [[Float]]) -> UInt64 { clone.kernels.pointee.bit_sum(arrays[0], arrays[1], arrays[2], count) }
      let undisturbed = sum(arrays)
      for array in 0..<3 {
        for index in 0..<count {
          for bit in 0..<32 {
            var flipped = arrays
            flipped[array][index] = Float(bitPattern: flipped[array][index].bitPattern ^ 1 << UInt32(bit))
            if sum(flipped) == undisturbed { Issue.record("\(clone.name): bit \(bit) of number \(index) of array \(array)") }
          }
        }
      }
    }
  }

  /// What an evaluation asks of scores has the same bits from all clones, the baseline too: those of plain eight lanes.
  @Test(arguments: [1, 5, 8, 16, 31, 255, 256, 264, 4099]) func ranking(_ count: Int) {
    var numbers = TestNumbers(33)
    var scores = numbers.array(count).map { $0 * 30 }
    scores[count / 2] = scores[0]
    let maximum = scores.max() ?? 0
    for clone in TestBackend.clones {
      let kernels = clone.kernels.pointee
      #expect(kernels.exponential_sum(scores, count, maximum) == Self.plainExponentialSum(scores, maximum), "\(clone.name)")
      for compared in [scores[0], maximum, 1000] {
        let summary = kernels.score_summary(scores, count, compared)
        #expect(Int(summary.greater) == scores.count { $0 > compared } && Int(summary.equal) == scores.count { $0 == compared })
        #expect(summary.maximum == maximum && summary.is_finite == 1)
        #expect(Int(kernels.first_above(scores, 0, count, compared)) == scores.firstIndex { $0 > compared } ?? count)
      }
    }
  }

  /// Sums of 32 exponentials per lane in single precision, lanes and rest in double.
  private static func plainExponentialSum(_ scores: [Float], _ maximum: Float) -> Double {
    let whole = scores.count / 8 * 8
    var total = 0.0
    for start in stride(from: 0, to: whole, by: 256) {
      var lanes = [Float](repeating: 0, count: 8)
      for place in start..<min(start + 256, whole) { lanes[place % 8] += plainExponential(scores[place] - maximum) }
      for lane in lanes { total += Double(lane) }
    }
    for score in scores[whole...] { total += Double(plainExponential(score - maximum)) }
    return total
  }

  /// Cephes' expf for numbers that are not positive.
  private static func plainExponential(_ number: Float) -> Float {
    let x = number < -87 ? -87 : number
    let magic: Float = 12_582_912
    let shifted = x * 1.442_695_04 + magic
    let whole = shifted - magic
    let r = x - whole * 0.693_359_375 - whole * -2.121_944_4e-4
    var p = r * 1.987_569_15e-4 + 1.398_199_950_7e-3
    for coefficient: Float in [8.333_451_907_3e-3, 4.166_579_589_4e-2, 0.166_666_654_59, 0.500_000_012_01] {
      p = p * r + coefficient
    }
    return (p * r * r + r + 1) * Float(bitPattern: (shifted.bitPattern &+ 127) << 23)
  }
}
