import BERT4RecModel
import Masking
import Testing

/// Gradients against finite differences, along random directions: (f(x + h v) - f(x - h v)) / 2h = gradient . v.
@Suite struct GradientTests {
  /// `function` gives its value at a point and its claimed gradient there.
  func check(
    at point: [Float], slots: [(name: String, range: Range<Int>)], step: Float = 4e-3, tolerance: Double = 1e-2,
    _ function: ([Float]) -> (value: Double, gradient: [Float])
  ) {
    let gradient = function(point).gradient
    let largest = Double(gradient.map { $0 * $0 }.reduce(0, +)).squareRoot()
    for (index, slot) in slots.enumerated() {
      // Along the sign of the gradient, with some noise, so that nothing cancels.
      var numbers = TestNumbers(UInt64(100 + index))
      let direction = slot.range.map { (gradient[$0] >= 0 ? 1 : -1) * (0.75 + 0.25 * numbers.next()) as Float }
      var (above, below) = (point, point)
      for (offset, element) in slot.range.enumerated() {
        above[element] += step * direction[offset]
        below[element] -= step * direction[offset]
      }
      let numeric = (function(above).value - function(below).value) / Double(2 * step)
      let claimed = zip(slot.range, direction).reduce(0.0) { $0 + Double(gradient[$1.0] * $1.1) }
      #expect(abs(numeric - claimed) < tolerance * abs(claimed) + 2e-4 * largest, "\(slot.name): \(numeric), \(claimed)")
    }
  }

  @Test(arguments: TestBackend.all, Activation.allCases)
  func wholeLoss(_ backend: TestBackend, _ activation: Activation) {
    // A kink of relu between the two points would be no fault of the gradient: smaller steps there.
    let encoder = BidirectionalEncoder(Example.configuration(activation: activation), backend: backend.make())
    let batch = Example.batch()
    check(
      at: Example.parameters(encoder.layout), slots: encoder.layout.slots.map { ($0.name, $0.range) },
      step: activation == .relu ? 5e-4 : 2e-3, tolerance: activation == .relu ? 3e-2 : 1e-2
    ) { parameters in
      var gradient = [Float](repeating: 0, count: parameters.count)
      let value = encoder.loss(batch, parameters: parameters, gradients: &gradient, dropout: nil)
      return (value, gradient)
    }
  }

  /// With the key fixed, the dropped-out loss is a smooth function too: its backward pass must use the same decisions.
  @Test(arguments: TestBackend.all, [1, 3]) func wholeLossWithDropout(_ backend: TestBackend, _ layers: Int) {
    let encoder = BidirectionalEncoder(
      Example.configuration(layers: layers, hiddenDropout: 0.3, attentionDropout: 0.4), backend: backend.make())
    let batch = Example.batch()
    let key = DropoutKey(seed: 3, step: 8)
    check(at: Example.parameters(encoder.layout), slots: encoder.layout.slots.map { ($0.name, $0.range) }, step: 2e-3) {
      parameters in
      var gradient = [Float](repeating: 0, count: parameters.count)
      let value = encoder.loss(batch, parameters: parameters, gradients: &gradient, dropout: key)
      return (value, gradient)
    }
  }

  /// All backends follow the same equations and the same dropout decisions.
  @Test(arguments: [1, 2]) func backendsAgree(_ layers: Int) {
    let configuration = Example.configuration(layers: layers, hiddenDropout: 0.2, attentionDropout: 0.2)
    let batch = Example.batch()
    let results = TestBackend.all.reversed().map { backend -> (Double, [Float]) in
      let encoder = BidirectionalEncoder(configuration, backend: backend.make())
      var gradient = [Float](repeating: 0, count: encoder.layout.count)
      let loss = encoder.loss(
        batch, parameters: Example.parameters(encoder.layout), gradients: &gradient,
        dropout: DropoutKey(seed: 1, step: 0))
      return (loss, gradient)
    }
    for result in results.dropFirst() {
      #expect(abs(result.0 - results[0].0) < 1e-5 * results[0].0)
      for slot in ParameterLayout(configuration).slots where !slot.name.hasSuffix("key.bias") {
        #expect(relativeDistance(Array(result.1[slot.range]), Array(results[0].1[slot.range])) < 1e-4, "\(slot.name)")
      }
    }
  }

  /// The layers one by one: a random linear function of the output stands in for what follows.
  @Test(arguments: TestBackend.all, [QueryRows.all, .masked])
  func encoderLayer(_ backend: TestBackend, _ rows: QueryRows) {
    let configuration = Example.configuration(hiddenDropout: 0.2, attentionDropout: 0.2)
    let (backend, batch) = (backend.make(), Example.batch())
    let context = LayerContext(
      configuration: configuration, backend: backend, workspace: Workspace(), rowCapacity: batch.tokenCount)
    let layer = EncoderLayer(context, layer: 1, rows: rows, scratch: EncoderLayer.Scratch(context))
    let hidden = configuration.hiddenSize
    let parameterCount = context.layout.count
    let rowCount = rows == .all ? batch.tokenCount : batch.maskedCount
    var numbers = TestNumbers(9)
    let outputWeights = numbers.array(rowCount * hidden)
    let input = numbers.array(batch.tokenCount * hidden)
    let slots =
      context.layout.slots.filter { $0.name.contains("layer.1") }.map { ($0.name, $0.range) }
      + [("input", parameterCount..<(parameterCount + input.count))]
    check(at: Example.parameters(context.layout) + input, slots: slots, step: 1e-3) { point in
      let (values, gradients) = (Buffer(point), Buffer(zeros: parameterCount))
      let pass = Pass(parameters: values.base, gradients: gradients.base, dropout: DropoutKey(seed: 4, step: 5))
      let xGradient = Buffer(zeros: input.count)
      var value = 0.0
      batch.forEachBlock(rows: batch.tokenCount) { block in
        let x = Matrix(values.base + parameterCount, batch.tokenCount, hidden)
        let y = layer.forward(block, x: x, pass)
        for index in 0..<outputWeights.count { value += Double(y.output.base[index] * outputWeights[index]) }
        let gradient = Buffer(outputWeights)
        layer.backward(
          block, y, gradient.matrix(rowCount, hidden), xGradient: xGradient.matrix(batch.tokenCount, hidden), pass)
      }
      return (value, gradients.values + xGradient.values)
    }
  }

  @Test(arguments: TestBackend.all) func embeddings(_ backend: TestBackend) {
    let (backend, batch) = (backend.make(), Example.batch())
    let configuration = Example.configuration(hiddenDropout: 0.3)
    let context = LayerContext(
      configuration: configuration, backend: backend, workspace: Workspace(), rowCapacity: batch.tokenCount)
    let embeddings = Embeddings(context)
    var numbers = TestNumbers(10)
    let weights = numbers.array(batch.tokenCount * configuration.hiddenSize)
    let slots = context.layout.slots.filter { $0.name.contains("embeddings") }.map { ($0.name, $0.range) }
    check(at: Example.parameters(context.layout), slots: slots, step: 1e-3) { point in
      let (values, gradients) = (Buffer(point), Buffer(zeros: point.count))
      let pass = Pass(parameters: values.base, gradients: gradients.base, dropout: DropoutKey(seed: 4, step: 5))
      var value = 0.0
      batch.forEachBlock(rows: batch.tokenCount) { block in
        let x = embeddings.forward(block, pass)
        for index in 0..<weights.count { value += Double(x.output.base[index] * weights[index]) }
        embeddings.backward(block, x, Buffer(weights).matrix(batch.tokenCount, configuration.hiddenSize), pass)
      }
      return (value, gradients.values)
    }
  }

  @Test(arguments: TestBackend.all) func predictionHead(_ backend: TestBackend) {
    let configuration = Example.configuration()
    let context = LayerContext(
      configuration: configuration, backend: backend.make(), workspace: Workspace(), rowCapacity: 11)
    let head = PredictionHead(context)
    let (hidden, count) = (configuration.hiddenSize, context.layout.count)
    var numbers = TestNumbers(11)
    let (weights, input) = (numbers.array(11 * hidden), numbers.array(11 * hidden))
    let slots =
      context.layout.slots.filter { $0.name.contains("transform") }.map { ($0.name, $0.range) }
      + [("input", count..<(count + input.count))]
    check(at: Example.parameters(context.layout) + input, slots: slots, step: 1e-3) { point in
      let (values, gradients, yGradient) = (Buffer(point), Buffer(zeros: count), Buffer(zeros: input.count))
      let pass = Pass(parameters: values.base, gradients: gradients.base, dropout: nil)
      let t = head.forward(Matrix(values.base + count, 11, hidden), pass)
      let value = weights.indices.reduce(0.0) { $0 + Double(t.output.base[$1] * weights[$1]) }
      head.backward(t, Buffer(weights).matrix(11, hidden), yGradient: yGradient.matrix(11, hidden), pass)
      return (value, gradients.values + yGradient.values)
    }
  }

  /// More rows than a chunk, more items than a tile.
  @Test(arguments: TestBackend.all) func maskedItemLoss(_ backend: TestBackend) {
    let vocabulary = 2 * MaskedItemLoss.tileWidth + 140
    let configuration = ModelConfiguration(
      vocabularySize: vocabulary, hiddenSize: 6, headCount: 2, maximumSequenceLength: 8)
    let rows = MaskedItemLoss.rowChunk + 22
    let context = LayerContext(
      configuration: configuration, backend: backend.make(), workspace: Workspace(), rowCapacity: rows)
    let loss = MaskedItemLoss(context)
    let count = context.layout.count
    var numbers = TestNumbers(12)
    let labels = (0..<rows).map { Int32(($0 * 397) % vocabulary) }
    let input = numbers.array(rows * 6, scale: 2)
    let slots =
      context.layout.slots.filter { $0.name.contains("word") || $0.name == "cls.predictions.bias" }
      .map { ($0.name, $0.range) } + [("input", count..<(count + input.count))]
    check(at: Example.parameters(context.layout) + input, slots: slots, step: 1e-3) { point in
      let (values, gradients, tGradient) = (Buffer(point), Buffer(zeros: count), Buffer(zeros: input.count))
      let pass = Pass(parameters: values.base, gradients: gradients.base, dropout: nil)
      let value = loss(
        Matrix(values.base + count, rows, 6), labels: labels, tGradient: tGradient.matrix(rows, 6), pass)
      return (value, gradients.values + tGradient.values)
    }
  }

  /// Exponentials that go past the caches: a chunk of rows at once, and in halves, which do not. A row's numbers depend on no other row.
  @Test(arguments: TestBackend.all) func maskedItemLossOfALargeCatalogue(_ backend: TestBackend) {
    let rows = MaskedItemLoss.rowChunk
    let vocabulary = MaskedItemLoss.cachedExponentials / rows + 33
    let configuration = ModelConfiguration(
      vocabularySize: vocabulary, hiddenSize: 6, headCount: 2, maximumSequenceLength: 8)
    let context = LayerContext(
      configuration: configuration, backend: backend.make(), workspace: Workspace(), rowCapacity: rows)
    let loss = MaskedItemLoss(context)
    let values = Buffer(Example.parameters(context.layout))
    let labels = (0..<rows).map { Int32(($0 * 397) % vocabulary) }
    var numbers = TestNumbers(12)
    let input = Buffer(numbers.array(rows * 6, scale: 2))
    let parts = [[0..<rows], [0..<(rows / 2), (rows / 2)..<rows]]
    let results = parts.map { ranges in
      let (gradients, tGradient) = (Buffer(zeros: context.layout.count), Buffer(zeros: rows * 6))
      let pass = Pass(parameters: values.base, gradients: gradients.base, dropout: nil)
      let sum = ranges.reduce(0.0) { sum, range in
        sum
          + labels.withUnsafeBufferPointer {
            loss(
              input.matrix(rows, 6).rows(range), labels: $0.baseAddress! + range.lowerBound,
              tGradient: tGradient.matrix(rows, 6).rows(range), pass)
          }
      }
      return (loss: sum, rows: tGradient.values, table: gradients.values)
    }
    #expect(abs(results[0].loss - results[1].loss) < 1e-9 * results[0].loss)
    #expect(results[0].rows.map(\.bitPattern) == results[1].rows.map(\.bitPattern))
    let difference = zip(results[0].table, results[1].table).map { abs($0 - $1) }.max() ?? 1
    #expect(difference < 1e-6)
  }

  /// Exponentials of all, some or no tiles kept between the sweeps: the same bits.
  @Test(arguments: TestBackend.all) func exponentialsThatAreNotKept(_ backend: TestBackend) {
    let rows = MaskedItemLoss.rowChunk + 5
    let configuration = ModelConfiguration(
      vocabularySize: 4 * MaskedItemLoss.tileWidth + 33, hiddenSize: 6, headCount: 2, maximumSequenceLength: 8)
    var numbers = TestNumbers(12)
    let input = Buffer(numbers.array(rows * 6, scale: 2))
    let labels = (0..<rows).map { Int32(($0 * 397) % configuration.vocabularySize) }
    let results = [MaskedItemLoss.keptExponentials, 2 * ExponentialTile.capacity, 0].map { kept -> (Double, [Float], [Float]) in
      let context = LayerContext(
        configuration: configuration, backend: backend.make(), workspace: Workspace(), rowCapacity: rows)
      let loss = MaskedItemLoss(context, keptExponentials: kept)
      let (gradients, tGradient) = (Buffer(zeros: context.layout.count), Buffer(zeros: rows * 6))
      let pass = Pass(parameters: Buffer(Example.parameters(context.layout)).base, gradients: gradients.base, dropout: nil)
      let value = loss(input.matrix(rows, 6), labels: labels, tGradient: tGradient.matrix(rows, 6), pass)
      return (value, tGradient.values, gradients.values)
    }
    #expect(results[1] == results[0] && results[2] == results[0])
  }

  /// A logit of 300 must not overflow, and the label's probability there is 1.
  @Test func largeLogitsDoNotOverflow() {
    let configuration = ModelConfiguration(vocabularySize: 600, hiddenSize: 4, headCount: 1, maximumSequenceLength: 8)
    let context = LayerContext(
      configuration: configuration, backend: NativeBackend(), workspace: Workspace(), rowCapacity: 2)
    let loss = MaskedItemLoss(context)
    var parameters = [Float](repeating: 0, count: context.layout.count)
    parameters[context.layout.predictionBias + 550] = 300
    let t = Buffer(zeros: 8)
    let value = loss(
      t.matrix(2, 4), labels: [550, 3], tGradient: nil,
      Pass(parameters: parameters, gradients: nil, dropout: nil))
    #expect(abs(value - 300) < 1e-3)
  }

  /// Several blocks of instances, of which one has nothing masked: their gradients add up, the table's is overwritten once.
  @Test(arguments: TestBackend.all) func severalBlocks(_ backend: TestBackend) {
    let encoder = BidirectionalEncoder(
      Example.configuration(hiddenDropout: 0.2, attentionDropout: 0.2), backend: backend.make(), blockRows: 24)
    let batch = Example.batch()
    precondition(batch.tokenCount > 2 * 24)
    check(at: Example.parameters(encoder.layout), slots: encoder.layout.slots.map { ($0.name, $0.range) }, step: 2e-3) {
      parameters in
      var gradient = [Float](repeating: .nan, count: parameters.count)
      let value = encoder.loss(
        batch, parameters: parameters, gradients: &gradient, overwrites: true, dropout: DropoutKey(seed: 3, step: 8))
      return (value, gradient)
    }
  }

  /// Overwriting is adding to zeros, whatever was there; of a batch without masked items zeros remain.
  @Test func overwritingIsAddingToZeros() {
    let encoder = BidirectionalEncoder(Example.configuration(), backend: NativeBackend(), blockRows: 24)
    let parameters = Example.parameters(encoder.layout)
    for batch in [Example.batch(), PackedBatch()] {
      var added = [Float](repeating: 0, count: encoder.layout.count)
      var overwritten = [Float](repeating: .nan, count: encoder.layout.count)
      _ = encoder.loss(batch, parameters: parameters, gradients: &added, dropout: nil)
      _ = encoder.loss(batch, parameters: parameters, gradients: &overwritten, overwrites: true, dropout: nil)
      #expect(added == overwritten)
    }
  }

  /// Cutting a batch into blocks changes nothing but rounding; the last layer alone reads masked rows.
  @Test func instancesDoNotSeeEachOther() {
    let encoder = BidirectionalEncoder(Example.configuration(hiddenDropout: 0.2, attentionDropout: 0.2))
    let parameters = Example.parameters(encoder.layout)
    let whole = Example.batch()
    let key = DropoutKey(seed: 2, step: 2)
    var sum = 0.0
    for instance in 0..<whole.instanceCount {
      var single = PackedBatch()
      for row in whole.tokenRange(of: instance) {
        let label = whole.maskedRows.firstIndex(of: Int32(row)).map { whole.labels[$0] }
        single.append(token: whole.tokens[row], label: label)
      }
      single.endInstance(place: Int(whole.places[instance]))
      sum += encoder.loss(single, parameters: parameters, gradients: nil, dropout: key)
    }
    let together = encoder.loss(whole, parameters: parameters, gradients: nil, dropout: key)
    #expect(abs(together - sum) < 1e-5 * sum)
  }
}
