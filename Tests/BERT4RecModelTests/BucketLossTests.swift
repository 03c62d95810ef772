import BERT4RecModel
import Masking
import Testing

/// `sce`.
@Suite struct BucketLossTests {
  private static let configuration = ModelConfiguration(
    vocabularySize: 2 * MaskedItemLoss.tileWidth + 140, hiddenSize: 6, headCount: 2, maximumSequenceLength: 8)
  private static let rows = 31
  private static let labels = (0..<rows).map { Int32(($0 * 397) % configuration.vocabularySize) }

  private static func loss(buckets: Int?, items: Int) -> LossConfiguration {
    var loss = LossConfiguration(.sce)
    (loss.buckets, loss.bucketItems) = (buckets, items)
    return loss
  }

  private static func context(_ backend: any Backend, rows: Int = rows) -> LayerContext {
    LayerContext(configuration: configuration, backend: backend, workspace: Workspace(), rowCapacity: rows)
  }

  private static func t(_ rows: Int = rows) -> [Float] {
    var numbers = TestNumbers(12)
    return numbers.array(rows * configuration.hiddenSize, scale: 2)
  }

  /// Given the buckets, the gradient is that of the loss.
  @Test(arguments: TestBackend.all, [nil, 3]) func gradients(_ backend: TestBackend, _ buckets: Int?) {
    let context = Self.context(backend.make())
    let loss = BucketLoss(context, Self.loss(buckets: buckets, items: 40))
    let (count, hidden) = (context.layout.count, Self.configuration.hiddenSize)
    let (parameters, t) = (Example.parameters(context.layout), Self.t())
    loss.choose(
      Buffer(t).matrix(Self.rows, hidden), 99, Pass(parameters: Buffer(parameters).base, gradients: nil, dropout: nil))
    let slots =
      context.layout.slots.filter { $0.name.contains("word") || $0.name == "cls.predictions.bias" }
      .map { ($0.name, $0.range) } + [("input", count..<(count + t.count))]
    GradientTests().check(at: parameters + t, slots: slots, step: 1e-3) { point in
      let (values, gradients, tGradient) = (Buffer(point), Buffer(zeros: count), Buffer(zeros: t.count))
      let value = loss.evaluate(
        Matrix(values.base + count, Self.rows, hidden), Self.labels, tGradient: tGradient.matrix(Self.rows, hidden),
        Pass(parameters: values.base, gradients: gradients.base, dropout: nil))
      return (value, gradients.values + tGradient.values)
    }
  }

  /// Buckets, losses and gradients against the plain way of the paper.
  @Test(arguments: TestBackend.all, [nil, 1, 5, 62]) func plainTwin(_ backend: TestBackend, _ buckets: Int?) {
    let context = Self.context(backend.make())
    let settings = Self.loss(buckets: buckets, items: 40)
    let loss = BucketLoss(context, settings)
    let (layout, hidden) = (context.layout, Self.configuration.hiddenSize)
    let (parameters, t) = (Example.parameters(layout), Self.t())
    let (gradients, tGradient) = (Buffer(zeros: layout.count), Buffer(zeros: t.count))
    let pass = Pass(parameters: Buffer(parameters).base, gradients: gradients.base, dropout: nil)
    let rows = Buffer(t).matrix(Self.rows, hidden)
    loss.choose(rows, 99, pass)
    let value = loss.evaluate(rows, Self.labels, tGradient: tGradient.matrix(Self.rows, hidden), pass)

    var plain = PlainLoss(
      words: Array(parameters[layout.wordEmbeddings..<layout.positionEmbeddings]),
      biases: Array(parameters[layout.predictionBias...]), t: t)
    let count = BucketLoss.bucketCount(settings, rows: Self.rows)
    let share = BucketLoss.rowCount(buckets: count, rows: Self.rows)
    #expect(count == buckets ?? 8 && share * count >= 2 * Self.rows || share == Self.rows)
    var best = [(loss: Double, items: [Int])](repeating: (-1, []), count: Self.rows)
    for bucket in 0..<count {
      let normals = (0..<Self.rows).map { Double(BucketLoss.normal(99, bucket: bucket, row: $0)) }
      let center = (0..<hidden).map { column in
        (0..<Self.rows).reduce(0.0) { $0 + normals[$1] * Double(t[$1 * hidden + column]) }
      }
      let scores = (0..<Self.rows).map { row in (0..<hidden).reduce(0.0) { $0 + center[$1] * Double(t[row * hidden + $1]) } }
      let members = scores.indices.sorted { scores[$0] > scores[$1] }.prefix(share)
      let itemScores = (0..<Self.configuration.vocabularySize).map { item in
        (0..<Self.rows).reduce(0.0) { $0 + normals[$1] * plain.logit($1, item) }
      }
      let items = Array(itemScores.indices.sorted { itemScores[$0] > itemScores[$1] }.prefix(40))
      for row in members {
        let own = plain.softmaxLoss(row, label: Int(Self.labels[row]), candidates: items.map { ($0, 1) })
        if own > best[row].loss { best[row] = (own, items) }
      }
    }
    for row in 0..<Self.rows where best[row].loss >= 0 {
      plain.addSoftmax(row, label: Int(Self.labels[row]), candidates: best[row].items.map { ($0, 1) })
    }
    #expect(abs(value - plain.value) < 1e-4 * plain.value, "\(value), \(plain.value)")
    #expect(relativeDistance(tGradient.values, plain.tGradient.map { Float($0) }) < 1e-3)
    let words = Array(gradients.values[layout.wordEmbeddings..<layout.positionEmbeddings])
    #expect(relativeDistance(words, plain.wordGradient.map { Float($0) }) < 1e-3)
    #expect(relativeDistance(Array(gradients.values[layout.predictionBias...]), plain.biasGradient.map { Float($0) }) < 1e-3)
  }

  /// One bucket of all rows and all items is the full loss.
  @Test(arguments: TestBackend.all) func allItemsAreTheFullLoss(_ backend: TestBackend) {
    let context = Self.context(backend.make())
    let hidden = Self.configuration.hiddenSize
    let (parameters, t) = (Buffer(Example.parameters(context.layout)), Buffer(Self.t()))
    let rows = t.matrix(Self.rows, hidden)
    func run(_ body: (Matrix, Pass) -> Double) -> (value: Double, gradients: [Float], t: [Float]) {
      let (gradients, tGradient) = (Buffer(zeros: context.layout.count), Buffer(zeros: t.count))
      let value = body(
        tGradient.matrix(Self.rows, hidden), Pass(parameters: parameters.base, gradients: gradients.base, dropout: nil))
      return (value, gradients.values, tGradient.values)
    }
    let full = MaskedItemLoss(context)
    let buckets = BucketLoss(context, Self.loss(buckets: 1, items: 16_384))
    let a = run { full(rows, labels: Self.labels, tGradient: $0, $1) }
    let b = run {
      buckets.choose(rows, 3, $1)
      return buckets.evaluate(rows, Self.labels, tGradient: $0, $1)
    }
    #expect(abs(a.value - b.value) < 1e-5 * a.value)
    #expect(relativeDistance(b.gradients, a.gradients) < 1e-4 && relativeDistance(b.t, a.t) < 1e-4)
  }

  /// The whole encoder, with several blocks of unequal numbers of masked rows: reproducible, of the step's key, and whole gradients.
  @Test func blocksOfAnEncoder() {
    let configuration = Example.configuration()
    func run(_ step: Int, overwrites: Bool, kernels: TestBackend.Clone? = nil) -> (Double, [Float]) {
      let encoder = BidirectionalEncoder(
        configuration, backend: NativeBackend(kernels: kernels?.kernels), blockRows: 24, loss: Self.loss(buckets: nil, items: 50))
      var gradient = [Float](repeating: overwrites ? .nan : 0, count: encoder.layout.count)
      let value = encoder.loss(
        Example.batch(), parameters: Example.parameters(encoder.layout), gradients: &gradient, overwrites: overwrites, dropout: nil,
        negatives: NegativeKey(seed: 1, step: step, shard: 0))
      return (value, gradient)
    }
    let first = run(4, overwrites: false)
    #expect(first.0.isFinite && first.1.allSatisfy(\.isFinite) && run(4, overwrites: true) == first && run(5, overwrites: true) != first)
    for clone in CloneTests.exact { #expect(run(4, overwrites: true, kernels: clone) == first, "\(clone.name)") }
  }

  /// Largest first to leave, lower numbers stay, blocks of any width.
  @Test(arguments: [1, 2, 7, 40]) func topRows(_ limit: Int) {
    let workspace = Workspace()
    defer { withExtendedLifetime(workspace) {} }
    var top = TopRows(workspace, lists: 2, capacity: 40)
    var numbers = TestNumbers(8)
    let (columns, bias) = (101, numbers.array(101).map { ($0 * 4).rounded() })
    // Few values, so that many are equal.
    let scores = numbers.array(2 * columns).map { ($0 * 3).rounded() }
    for width in [1, 13, 101, 101] {
      top.begin(limit: limit)
      for first in stride(from: 0, to: columns, by: width) {
        let part = first..<min(first + width, columns)
        top.take(
          Matrix(Buffer(scores).base + first, 2, part.count, stride: columns), first: first, weights: [1, -2],
          bias: Array(bias[part]))
      }
      for (list, weight) in [(0, Float(1)), (1, -2)] {
        let sums = (0..<columns).map { scores[list * columns + $0] + weight * bias[$0] }
        let expected = sums.indices.sorted { (-sums[$0], $0) < (-sums[$1], $1) }.prefix(limit)
        #expect(top.list(list).map { Int($0) }.sorted() == expected.sorted())
      }
    }
  }
}
