import BERT4RecModel
import Testing

/// The fast backends, and every clone of the kernels, against their plain twin, on odd sizes.
@Suite struct BackendTests {
  let plain = ReferenceBackend()

  private func dropout(_ keys: [UInt64], _ probability: Double) -> RowDropout {
    let copy = UnsafeMutablePointer<UInt64>.allocate(capacity: keys.count)
    copy.initialize(from: keys, count: keys.count)
    return RowDropout(rowKeys: copy, rate: DropoutRate(probability))
  }

  @Test(arguments: TestBackend.fast, [false, true])
  func products(_ backend: TestBackend, _ transposesA: Bool) {
    // Remainders of rows, columns and inner steps, more inner steps than are taken at once, rows so long that a transposed left operand
    // is packed instead of read where it is, and more of them than are packed at once.
    let sizes = [
      (13, 7, 5), (1, 1, 1), (6, 16, 16), (17, 33, 37), (8, 50, 530), (5, 16, 257), (101, 49, 66), (59, 290, 256), (301, 35, 79),
    ]
    for (m, n, k) in sizes {
      for transposesB in [false, true] { product(backend, m, n, k, transposesA, transposesB) }
    }
  }

  private func product(
    _ backend: TestBackend, _ m: Int, _ n: Int, _ k: Int, _ transposesA: Bool, _ transposesB: Bool
  ) {
    var numbers = TestNumbers(1)
    let a = Buffer(numbers.array((m + 4) * (k + 4)))
    let b = Buffer(numbers.array((n + 4) * (k + 4)))
    for accumulates in [false, true] {
      let start = numbers.array(m * (n + 4))
      let results = [backend.make(), plain].map { backend -> [Float] in
        let c = Buffer(start)
        backend.multiply(
          transposesA ? a.matrix(k, m, stride: m + 4) : a.matrix(m, k, stride: k + 4), transposed: transposesA,
          transposesB ? b.matrix(n, k, stride: k + 1) : b.matrix(k, n, stride: n + 1), transposed: transposesB,
          into: c.matrix(m, n, stride: n + 4), scale: 0.7, accumulates: accumulates)
        return c.values
      }
      #expect(relativeDistance(results[0], results[1]) < 1e-5)
      // What lies between the columns of a view is not touched.
      #expect(results[0][n] == start[n] && results[0][n + 3] == start[n + 3])
    }
  }

  @Test(arguments: TestBackend.fast, Activation.allCases)
  func activations(_ backend: TestBackend, _ activation: Activation) {
    var numbers = TestNumbers(2)
    for (rows, columns, scale) in [(5, 37, 1), (3, 16, 6), (1, 1, 0.01), (2, 50, 20)] as [(Int, Int, Float)] {
      let (values, bias) = (numbers.array(rows * columns, scale: scale), numbers.array(columns))
      let results = [backend.make(), plain].map { backend -> ([Float], [Float]) in
        let (buffer, derivative) = (Buffer(values), Buffer(zeros: rows * columns))
        backend.activate(buffer.matrix(rows, columns), bias: bias, activation, derivative: derivative.base)
        return (buffer.values, derivative.values)
      }
      #expect(relativeDistance(results[0].0, results[1].0) < 5e-7)
      // 1.8e-6 where the CPU has no fused multiply-add.
      #expect(relativeDistance(results[0].1, results[1].1) < 3e-6)
    }
  }

  @Test(arguments: TestBackend.fast, [0.0, 0.3]) func residualNorm(_ backend: TestBackend, _ probability: Double) {
    for columns in [1, 15, 16, 17, 64, 100] { residualNorm(backend, columns, probability) }
  }

  private func residualNorm(_ backend: TestBackend, _ columns: Int, _ probability: Double) {
    var numbers = TestNumbers(3)
    let rows = 6
    let (input, residual) = (numbers.array(rows * columns), numbers.array(rows * columns))
    let (bias, weight, normBias) = (numbers.array(columns), numbers.array(columns), numbers.array(columns))
    let gradient = numbers.array(rows * columns)
    let (inputDropout, outputDropout) = (
      dropout(numbers.keys(rows), probability), dropout(numbers.keys(rows), probability / 2)
    )
    let results = [backend.make(), plain].map { backend -> [[Float]] in
      let buffers = (0..<8).map { _ in Buffer(zeros: rows * columns) }
      let saved = NormState(normalized: buffers[0].base, inverseDeviation: buffers[1].base)
      let (inputBuffer, weights, biases) = (Buffer(input), Buffer(weight), Buffer(normBias))
      let norm = NormParameters(weight: UnsafePointer(weights.base), bias: UnsafePointer(biases.base))
      backend.residualNorm(
        inputBuffer.matrix(rows, columns), inputBias: bias, inputDropout: inputDropout, residual: residual,
        norm: norm, outputDropout: outputDropout, output: buffers[2].base, saved: saved)
      let gradientBuffer = Buffer(gradient)
      backend.residualNormBackward(
        gradientBuffer.matrix(rows, columns), saved: saved, norm: norm, inputDropout: inputDropout,
        outputDropout: outputDropout, residualGradient: buffers[3].base, inputGradient: buffers[4].base,
        gradients: NormGradients(weight: buffers[5].base, bias: buffers[6].base), inputBiasGradient: buffers[7].base)
      return buffers.map(\.values)
    }
    // One column has no variance: 1 / sqrt(1e-12) blows rounding up, and nothing is to be learnt from it.
    if columns == 1 { return }
    for (a, b) in zip(results[0], results[1]) { #expect(relativeDistance(a, b) < 2e-5) }
  }

  @Test(arguments: TestBackend.fast, [0.0, 0.2]) func softmax(_ backend: TestBackend, _ probability: Double) {
    for n in [1, 9, 16, 37, 200] { softmax(backend, n, probability) }
  }

  private func softmax(_ backend: TestBackend, _ n: Int, _ probability: Double) {
    var numbers = TestNumbers(4)
    let (rows, stride) = (5, paddedColumns(n))
    let scores = numbers.array(rows * stride, scale: 4)
    let gradient = numbers.array(rows * stride)
    let dropout = dropout(numbers.keys(rows), probability)
    let results = [backend.make(), plain].map { backend -> [[Float]] in
      let (p, dropped, g) = (Buffer(scores), Buffer(zeros: rows * stride), Buffer(gradient))
      backend.softmax(
        p.matrix(rows, n, stride: stride), dropped: dropped.matrix(rows, n, stride: stride), dropout: dropout)
      let forward = dropped.rows(rows, n, stride: stride)
      let signed = p.rows(rows, n, stride: stride)
      backend.softmaxBackward(
        p.matrix(rows, n, stride: stride), gradient: g.matrix(rows, n, stride: stride),
        dropped: dropped.matrix(rows, n, stride: stride), rate: dropout.rate)
      return [signed, forward, g.rows(rows, n, stride: stride), dropped.rows(rows, n, stride: stride)]
    }
    for row in 0..<rows {
      #expect(abs(results[0][0][(row * n)..<((row + 1) * n)].reduce(0) { $0 + abs($1) } - 1) < 1e-5)
    }
    #expect(results[0][1] == results[0][3])
    for (a, b) in zip(results[0], results[1]) {
      let isZero = (b.map(abs).max() ?? 0) < 1e-7  // one key: the gradient of its score is zero
      if isZero { #expect((a.map(abs).max() ?? 0) < 1e-6) } else { #expect(relativeDistance(a, b) < 1e-5) }
    }
    #expect(zip(results[0][0], results[1][0]).allSatisfy { ($0.sign == .minus) == ($1.sign == .minus) })
  }

  @Test(arguments: TestBackend.fast, [1, 15, 16, 40])
  func tilesOfTheOnlineSoftmax(_ backend: TestBackend, _ width: Int) {
    var numbers = TestNumbers(5)
    let (rows, stride) = (7, 48)
    let tiles = (0..<3).map { _ in (numbers.array(rows * stride, scale: 9), numbers.array(width)) }
    let results = [backend.make(), plain].map { backend -> [[Float]] in
      let (maximum, sum) = (Buffer([Float](repeating: -.infinity, count: rows)), Buffer(zeros: rows))
      let (ofAll, sumOfAll) = (Buffer(zeros: rows), Buffer(zeros: rows))
      // What stands in a total's gradients before the first tile is not read.
      let gradients = Buffer([Float](repeating: .nan, count: rows * 5))
      let total = OnlineSoftmax(SoftmaxSums(maximum: ofAll.base, sum: sumOfAll.base), rowGradients: gradients.base)
      total.begin(rows: rows)
      var outputs: [[Float]] = []
      for (index, (logits, bias)) in tiles.enumerated() {
        let values = Buffer(logits)
        // By itself, and with those before it.
        let (own, ownSum, products) = (
          Buffer([Float](repeating: -.infinity, count: rows)), Buffer(zeros: rows), Buffer(Array(tiles[2 - index].0[..<(rows * 5)]))
        )
        backend.tileExponentials(
          values.matrix(rows, width, stride: stride), bias: bias, SoftmaxSums(maximum: own.base, sum: ownSum.base))
        outputs += [values.rows(rows, width, stride: stride), own.values, ownSum.values]
        backend.addTile(
          SoftmaxSums(maximum: own.base, sum: ownSum.base), products: products.base, rows: rows, hidden: 5, to: total)
        outputs += [gradients.values]
        let again = Buffer(logits)
        backend.tileExponentials(
          again.matrix(rows, width, stride: stride), bias: bias, SoftmaxSums(maximum: maximum.base, sum: sum.base))
        outputs += [again.rows(rows, width, stride: stride)]
        let sums = Buffer([Float](repeating: 0.5, count: width))
        backend.addWeightedColumnSums(
          of: values.matrix(rows, width, stride: stride), weights: maximum.base, to: sums.base)
        outputs.append(sums.values)
      }
      let scaled = Buffer(zeros: rows * 5)
      backend.multiplyRows(Buffer(tiles[0].0).matrix(rows, 5), by: sum.base, into: scaled.base)
      #expect(ofAll.values == maximum.values && relativeDistance(sumOfAll.values, sum.values) < 1e-5)
      return outputs + [maximum.values, sum.values, scaled.values]
    }
    for (a, b) in zip(results[0], results[1]) { #expect(relativeDistance(a, b) < 1e-5) }
  }

  @Test(arguments: TestBackend.fast) func sumsAndBiases(_ backend: TestBackend) {
    var numbers = TestNumbers(6)
    let (rows, columns, stride) = (9, 21, 25)
    let (values, bias) = (numbers.array(rows * stride), numbers.array(columns))
    let results = [backend.make(), plain].map { backend -> [[Float]] in
      let (matrix, sums, gradient) = (Buffer(values), Buffer(bias), Buffer(values))
      backend.addBias(bias, to: matrix.matrix(rows, columns, stride: stride))
      backend.addColumnSums(of: matrix.matrix(rows, columns, stride: stride), to: sums.base)
      let biasGradient = Buffer(bias)
      backend.activateBackward(
        gradient.matrix(rows, columns), derivative: values, biasGradient: biasGradient.base)
      return [matrix.values, sums.values, gradient.values, biasGradient.values]
    }
    for (a, b) in zip(results[0], results[1]) { #expect(relativeDistance(a, b) < 1e-6) }
  }

  /// Non-finite numbers are passed on, never hidden: training looks at the loss.
  @Test(arguments: TestBackend.fast) func nonFiniteNumbersArePassedOn(_ backend: TestBackend) {
    let fast = backend.make()
    for poison in [Float.nan, .infinity] {
      var values = [Float](repeating: 0.5, count: 3 * 32)
      values[40] = poison
      let (p, dropped) = (Buffer(values), Buffer(zeros: values.count))
      fast.softmax(p.matrix(3, 20, stride: 32), dropped: dropped.matrix(3, 20, stride: 32), dropout: .none)
      #expect(dropped.values[32..<52].contains { $0.isNaN })
      #expect(!dropped.values[0..<20].contains { $0.isNaN })
      let (tile, maximum, sum) = (Buffer(values), Buffer([Float](repeating: -.infinity, count: 3)), Buffer(zeros: 3))
      let sums = SoftmaxSums(maximum: maximum.base, sum: sum.base)
      fast.tileExponentials(tile.matrix(3, 20, stride: 32), bias: nil, sums)
      #expect(!sum.values[1].isFinite && sum.values[0].isFinite)
      for old in [-Float.infinity, 0.25] {
        let (ofAll, sumOfAll) = (Buffer([Float](repeating: old, count: 3)), Buffer(zeros: 3))
        let total = OnlineSoftmax(SoftmaxSums(maximum: ofAll.base, sum: sumOfAll.base), rowGradients: nil)
        fast.addTile(sums, products: nil, rows: 3, hidden: 5, to: total)
        #expect(!sumOfAll.values[1].isFinite && sumOfAll.values[0].isFinite)
      }
      let (activated, derivative) = (Buffer(values), Buffer(zeros: values.count))
      for activation in Activation.allCases where !(activation == .tanh && poison == .infinity) {
        let buffer = Buffer(values)
        fast.activate(
          buffer.matrix(3, 32), bias: [Float](repeating: 0, count: 32), activation, derivative: derivative.base)
        #expect(!buffer.values[40].isFinite, "\(activation) of \(poison)")
      }
      _ = activated
    }
  }

  /// Attention of one head: what is fused and what is made of products, forward and backward, more query rows than a strip.
  @Test(arguments: TestBackend.fast, [0.0, 0.3]) func attention(_ backend: TestBackend, _ probability: Double) {
    for (r, n, d) in [(1, 1, 5), (9, 9, 32), (7, 53, 7), (101, 101, 20)] {
      var numbers = TestNumbers(7)
      let (query, key, value) = (numbers.array(r * (d + 3)), numbers.array(n * (d + 3)), numbers.array(n * (d + 3)))
      let gradient = numbers.array(r * d)
      let dropout = dropout(numbers.keys(r), probability)
      let stride = paddedColumns(n)
      let results = [backend.make(), plain].map { backend -> [[Float]] in
        let head = AttentionHead(
          query: Buffer(query).matrix(r, d, stride: d + 3), key: Buffer(key).matrix(n, d, stride: d + 3),
          value: Buffer(value).matrix(n, d, stride: d + 3))
        let (p, context) = (Buffer(zeros: r * stride), Buffer(zeros: r * d))
        let scratch = (0..<2).map { _ in Buffer(zeros: r * stride).matrix(r, n, stride: stride) }
        let probabilities = p.matrix(r, n, stride: stride)
        backend.attend(
          head, probabilities: probabilities, context: context.matrix(r, d), dropout: dropout, scratch: scratch[0])
        let gradients = [Buffer(zeros: r * d), Buffer(zeros: n * d), Buffer(zeros: n * d)]
        backend.attendBackward(
          head, probabilities: probabilities, contextGradient: Buffer(gradient).matrix(r, d), rate: dropout.rate,
          gradients: AttentionHead(
            query: gradients[0].matrix(r, d), key: gradients[1].matrix(n, d), value: gradients[2].matrix(n, d)),
          scratch: (scratch[0], scratch[1]))
        return [context.values] + gradients.map(\.values)
      }
      for (a, b) in zip(results[0], results[1]) {
        // With one key the scores' gradient is zero.
        if n == 1 && (b.map(abs).max() ?? 0) < 1e-6 { continue }
        #expect(relativeDistance(a, b) < 2e-5, "\(r) queries, \(n) keys of \(d)")
      }
    }
  }

  @Test(arguments: TestBackend.fast) func embeddings(_ backend: TestBackend) {
    var numbers = TestNumbers(8)
    let (rows, columns) = (5, 21)
    let (words, type, positions) = (numbers.array(9 * columns), numbers.array(columns), numbers.array(rows * columns))
    let tokens: [Int32] = [3, 8, 3, 0, 1]  // one of them twice
    let results = [backend.make(), plain].map { backend -> [[Float]] in
      let (sums, wordGradient, positionGradient) = (Buffer(zeros: rows * columns), Buffer(words), Buffer(positions))
      let matrix = sums.matrix(rows, columns)
      backend.sumEmbeddings(tokens, words: words, type: type, positions: positions, into: matrix)
      backend.addEmbeddingGradients(
        matrix, tokens: tokens, words: wordGradient.base, positions: positionGradient.base)
      return [sums.values, wordGradient.values, positionGradient.values]
    }
    #expect(results[0] == results[1])
  }
}
