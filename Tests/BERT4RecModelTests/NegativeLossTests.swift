import BERT4RecModel
import Glibc
import Masking
import Testing

/// The losses that draw: `sampled` and `gbce`.
@Suite struct NegativeLossTests {
  static let key = NegativeKey(seed: 5, step: 1 << 33, shard: 3)
  static let counts = (0..<527).map { Int64(900 / ($0 + 1)) }

  static func loss(_ kind: LossKind, _ sharing: NegativeSharing, _ sampling: NegativeSampling, negatives: Int = 37) -> LossConfiguration {
    var loss = LossConfiguration(kind)
    (loss.sharing, loss.sampling, loss.negatives) = (sharing, sampling, negatives)
    return loss
  }

  static let cases: [LossConfiguration] = [
    loss(.sampled, .shard, .uniform), loss(.sampled, .position, .uniform), loss(.sampled, .shard, .popularity),
    loss(.sampled, .position, .popularity), loss(.gbce, .shard, .uniform), loss(.gbce, .position, .uniform),
  ]

  static func encoder(_ loss: LossConfiguration, _ backend: any Backend, blockRows: Int = 1024) -> BidirectionalEncoder {
    let configuration = Example.configuration(hiddenDropout: 0.2, attentionDropout: 0.2)
    return BidirectionalEncoder(
      configuration, backend: backend, blockRows: blockRows, loss: loss,
      sampler: RowSampler(loss, counts: counts, vocabularySize: configuration.vocabularySize))
  }

  /// A loss and the gradients of the table, the biases and t, of a block of its own: all of `t` is masked.
  static func run(
    _ loss: LossConfiguration, _ backend: any Backend, _ parameters: [Float], t: [Float], labels: [Int32],
    _ configuration: ModelConfiguration
  ) -> (value: Double, words: [Float], biases: [Float], t: [Float]) {
    let hidden = configuration.hiddenSize
    let context = LayerContext(
      configuration: configuration, backend: backend, workspace: Workspace(), rowCapacity: labels.count)
    let sampler = RowSampler(loss, counts: counts, vocabularySize: configuration.vocabularySize)
    let negativeLoss = NegativeLoss(context, loss, sampler)
    let (gradients, tGradient) = (Buffer(zeros: parameters.count), Buffer(zeros: t.count))
    var batch = PackedBatch()
    for label in labels { batch.append(token: 1, label: label) }
    batch.endInstance(place: 9)
    var value = 0.0
    batch.forEachBlock(rows: labels.count) { block in
      value = negativeLoss(
        Buffer(t).matrix(labels.count, hidden), block, tGradient: tGradient.matrix(labels.count, hidden),
        Pass(parameters: parameters, gradients: gradients.base, dropout: nil, negatives: key))
    }
    let layout = context.layout
    return (
      value, Array(gradients.values[layout.wordEmbeddings..<layout.positionEmbeddings]),
      Array(gradients.values[layout.predictionBias...]), tGradient.values
    )
  }

  /// Against finite differences, the whole encoder with several blocks, and gradients that overwrite what was there.
  @Test(arguments: TestBackend.all, cases) func gradients(_ backend: TestBackend, _ loss: LossConfiguration) {
    let encoder = Self.encoder(loss, backend.make(), blockRows: 24)
    let batch = Example.batch()
    GradientTests().check(
      at: Example.parameters(encoder.layout), slots: encoder.layout.slots.map { ($0.name, $0.range) }, step: 2e-3
    ) { parameters in
      var gradient = [Float](repeating: .nan, count: parameters.count)
      let value = encoder.loss(
        batch, parameters: parameters, gradients: &gradient, overwrites: true, dropout: DropoutKey(seed: 3, step: 8),
        negatives: Self.key)
      return (value, gradient)
    }
  }

  /// More rows than a chunk; labels among the negatives; large logits.
  @Test(arguments: TestBackend.all, cases.flatMap { [($0, false), ($0, true)] })
  func plainTwins(_ backend: TestBackend, _ setting: (loss: LossConfiguration, hasLargeLogits: Bool)) {
    let loss = setting.loss
    let configuration = Example.configuration()
    let (rows, hidden) = (NegativeLoss.rowChunk + 22, configuration.hiddenSize)
    let layout = ParameterLayout(configuration)
    var parameters = Example.parameters(layout)
    if setting.hasLargeLogits {
      // In every set of so many draws some of these are likely.
      for item in stride(from: 7, to: 500, by: 9) { parameters[layout.predictionBias + item] = item % 2 == 0 ? 60 : -70 }
    }
    var numbers = TestNumbers(12)
    let t = numbers.array(rows * hidden, scale: 2)
    let labels = (0..<rows).map { Int32(($0 * 397) % 520 + 1) }
    let result = Self.run(loss, backend.make(), parameters, t: t, labels: labels, configuration)

    let count = loss.negatives
    let sampler = RowSampler(loss, counts: Self.counts, vocabularySize: configuration.vocabularySize)
    func draws(_ a: UInt32, _ c: UInt32) -> [(item: Int, weight: Double)] {
      var ids = [Int32](repeating: 0, count: count)
      var corrections = [Float](repeating: 0, count: count)
      sampler.draw(
        KeyedRandom.bits64(seed: Self.key.seed, .negatives, a, UInt64(Self.key.step), c), into: &ids, count: count)
      sampler.corrections(of: ids, count: count, into: &corrections)
      return zip(ids, corrections).map { (Int($0), Double($1)) }
    }
    var plain = PlainLoss(
      words: Array(parameters[layout.wordEmbeddings..<layout.positionEmbeddings]),
      biases: Array(parameters[layout.predictionBias...]), t: t)
    for row in 0..<rows {
      let candidates = loss.sharing == .shard ? draws(0, UInt32(Self.key.shard)) : draws(UInt32(1 + row), 9)
      if loss.kind == .sampled {
        plain.addSoftmax(row, label: Int(labels[row]), candidates: candidates.map { ($0.item, exp($0.weight)) })
      } else {
        plain.addBinary(
          row, label: Int(labels[row]), candidates: candidates.map(\.item),
          exponent: loss.positiveExponent(vocabularySize: configuration.vocabularySize))
      }
    }
    #expect(abs(result.value - plain.value) < 1e-5 * plain.value, "\(result.value), \(plain.value)")
    #expect(relativeDistance(result.words, plain.wordGradient.map { Float($0) }) < 1e-4)
    #expect(relativeDistance(result.biases, plain.biasGradient.map { Float($0) }) < 1e-4)
    #expect(relativeDistance(result.t, plain.tGradient.map { Float($0) }) < 1e-4)
  }

  /// With all rows as negatives, each once, it is the full loss.
  @Test(arguments: TestBackend.all, [NegativeSharing.shard, .position])
  func allRowsAreTheFullLoss(_ backend: TestBackend, _ sharing: NegativeSharing) {
    let batch = Example.batch()
    let results = [LossConfiguration(), Self.loss(.sampled, sharing, .uniform, negatives: 60_000)].map { loss -> (Double, [Float]) in
      let encoder = Self.encoder(loss, backend.make())
      var gradient = [Float](repeating: 0, count: encoder.layout.count)
      let value = encoder.loss(
        batch, parameters: Example.parameters(encoder.layout), gradients: &gradient, dropout: DropoutKey(seed: 1, step: 0),
        negatives: Self.key)
      return (value, gradient)
    }
    #expect(abs(results[1].0 - results[0].0) < 1e-5 * results[0].0)
    for slot in ParameterLayout(Example.configuration()).slots where !slot.name.hasSuffix("key.bias") {
      #expect(relativeDistance(Array(results[1].1[slot.range]), Array(results[0].1[slot.range])) < 1e-4, "\(slot.name)")
    }
  }

  /// The mean of the estimated denominators over many draws is the full one, the special rows and those that training never saw included.
  @Test(arguments: [NegativeSampling.uniform, .popularity]) func theDenominatorHasNoBias(_ sampling: NegativeSampling) {
    let loss = Self.loss(.sampled, .shard, sampling, negatives: 53)
    var numbers = TestNumbers(3)
    let exponentials = numbers.array(531, scale: 2).map { exp(Double($0)) }
    let sampler = RowSampler(loss, counts: Array(Self.counts.prefix(500)), vocabularySize: 531)
    var (ids, corrections) = ([Int32](repeating: 0, count: 53), [Float](repeating: 0, count: 53))
    let rounds = 4000
    var (sum, seen) = (0.0, Set<Int32>())
    for round in 0..<rounds {
      sampler.draw(KeyedRandom.mix(UInt64(round)), into: &ids, count: 53)
      sampler.corrections(of: ids, count: 53, into: &corrections)
      for (id, correction) in zip(ids, corrections) { sum += exponentials[Int(id)] * exp(Double(correction)) }
      if sampling == .uniform { #expect(Set(ids).count == 53) }
      seen.formUnion(ids)
    }
    let full = exponentials.reduce(0, +)
    #expect(abs(sum / Double(rounds) - full) < 0.01 * full, "\(sum / Double(rounds)), \(full)")
    #expect(seen.count == 531)
  }

  /// Draws are by (count + 1)^exponent.
  @Test(arguments: [0.0, 0.5, 1.0]) func popularity(_ exponent: Double) {
    let counts: [Int64] = [0, 1, 3, 8, 99, 2, 2]
    let sampler = RowSampler(.popularity, exponent: exponent, counts: counts, vocabularySize: counts.count + 4)
    let weights = [1.0] + counts.map { pow(Double($0 + 1), exponent) } + [1, 1, 1]
    var drawn = [Double](repeating: 0, count: weights.count)
    var ids = [Int32](repeating: 0, count: 100)
    for round in 0..<2000 {
      sampler.draw(KeyedRandom.mix(UInt64(round)), into: &ids, count: 100)
      for id in ids { drawn[Int(id)] += 1 }
    }
    let total = weights.reduce(0, +)
    var corrections = [Float](repeating: 0, count: 1)
    for (id, weight) in weights.enumerated() {
      let expected = 200_000 * weight / total
      #expect(abs(drawn[id] - expected) < 6 * expected.squareRoot(), "\(id)")
      sampler.corrections(of: [Int32(id)], count: 1, into: &corrections)
      #expect(abs(exp(-Double(corrections[0])) - weight / total) < 1e-6)
    }
  }

  /// Other draws for another seed, step and shard; with own negatives of each position the shard does not matter, the place does.
  @Test(arguments: [NegativeSharing.shard, .position]) func whatDrawsDependOn(_ sharing: NegativeSharing) {
    let encoder = Self.encoder(Self.loss(.sampled, sharing, .uniform), NativeBackend())
    let parameters = Example.parameters(encoder.layout)
    func value(_ seed: UInt64, _ step: Int, _ shard: Int) -> Double {
      encoder.loss(
        Example.batch(), parameters: parameters, gradients: nil, dropout: nil,
        negatives: NegativeKey(seed: seed, step: step, shard: shard))
    }
    let first = value(1, 1, 1)
    #expect(value(1, 1, 1) == first && value(2, 1, 1) != first && value(1, 2, 1) != first && value(1, 1 + 1 << 32, 1) != first)
    #expect((value(1, 1, 2) == first) == (sharing == .position))
  }

  /// Gradients as lists of rows are those of whole buffers, in rows that are touched, and there are no others.
  @Test(arguments: cases + [LossConfiguration(.sce)]) func listsOfRows(_ loss: LossConfiguration) {
    let encoder = Self.encoder(loss, NativeBackend(), blockRows: 24)
    let layout = encoder.layout
    let hidden = Example.configuration().hiddenSize
    let parameters = Example.parameters(layout)
    var whole = [Float](repeating: .nan, count: layout.count)
    var beside = [Float](repeating: .nan, count: layout.besidesTable.count)
    let rows = RowGradients(hidden: hidden)
    // Twice: rows are forgotten.
    for step in [1, 2] {
      let key = NegativeKey(seed: 1, step: step, shard: 0)
      let value = encoder.loss(
        Example.batch(), parameters: parameters, gradients: &whole, overwrites: true, dropout: nil, negatives: key)
      let other = encoder.loss(
        Example.batch(), parameters: parameters, gradients: &beside, overwrites: true, dropout: nil, negatives: key, rows: rows)
      #expect(value == other && Array(whole[layout.besidesTable]) == beside)
    }
    var ids = [Int32](repeating: 0, count: rows.count)
    var values = [Float](repeating: 0, count: rows.count * rows.width)
    rows.copy(ids: &ids, values: &values)
    #expect(ids == ids.sorted() && Set(ids).count == ids.count)
    var (words, biases) = ([Float](repeating: 0, count: 531 * hidden), [Float](repeating: 0, count: 531))
    for (index, id) in ids.enumerated() {
      for column in 0..<hidden { words[Int(id) * hidden + column] = values[index * rows.width + column] }
      biases[Int(id)] = values[index * rows.width + hidden]
    }
    #expect(words == Array(whole[..<layout.positionEmbeddings]) && biases == Array(whole[layout.predictionBias...]))
    #expect(ids.count < 531 || loss.kind == .sce)
  }

  /// More rows than the first table of ids holds.
  @Test func manyRows() {
    let rows = RowGradients(hidden: 1)
    for round in 1...2 {
      rows.removeAll()
      for index in 0..<5000 { rows.row(Int32((index * 7919) % 3001))[0] += Float(round) }
      var (ids, values) = ([Int32](repeating: 0, count: 3001), [Float](repeating: 0, count: 6002))
      #expect(rows.count == 3001)
      rows.copy(ids: &ids, values: &values)
      #expect(ids == (0..<3001).map { Int32($0) })
      for index in 0..<3001 {
        let times = (0..<5000).count { $0 * 7919 % 3001 == index }
        if values[2 * index] != Float(round * times) || values[2 * index + 1] != 0 { Issue.record("row \(index)") }
      }
    }
  }

  /// β is 1 without calibration and α with all of it.
  @Test func calibration() {
    var loss = Self.loss(.gbce, .shard, .uniform, negatives: 100)
    for (t, expected) in [(0.0, 1.0), (1, 0.1), (0.75, 0.325)] {
      loss.calibration = t
      #expect(abs(loss.positiveExponent(vocabularySize: 1001) - expected) < 1e-12)
    }
  }

  /// All clones with fused multiply-add have the same bits.
  @Test(.disabled(if: CloneTests.exact.count < 2, "fewer than two clones with fused multiply-add"), arguments: cases)
  func clonesAgree(_ loss: LossConfiguration) {
    let results = CloneTests.exact.map { clone -> (Double, [Float]) in
      let encoder = Self.encoder(loss, NativeBackend(kernels: clone.kernels))
      var gradient = [Float](repeating: 0, count: encoder.layout.count)
      let value = encoder.loss(
        Example.batch(), parameters: Example.parameters(encoder.layout), gradients: &gradient,
        dropout: DropoutKey(seed: 1, step: 9), negatives: Self.key)
      return (value, gradient)
    }
    for result in results.dropFirst() { #expect(result.0 == results[0].0 && result.1 == results[0].1) }
  }
}
