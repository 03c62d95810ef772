import BERT4RecModel
import SystemSupport
import Testing

/// The full loss by several shares of the vocabulary, which pass the rows' sums on: the bits of `MaskedItemLoss`.
@Suite struct VocabularyShareTests {
  private static let vocabulary = 5 * MaskedItemLoss.tileWidth + 77
  private static let rows = MaskedItemLoss.rowChunk + 22

  private struct Result: Equatable {
    var loss = 0.0
    var rows: [UInt32] = []
    var table: [UInt32] = []
  }

  private struct Problem {
    let configuration: ModelConfiguration
    let layout: ParameterLayout
    let parameters: Buffer
    let t: Buffer
    let labels: UnsafeMutablePointer<Int32>

    init(hidden: Int) {
      configuration = ModelConfiguration(vocabularySize: vocabulary, hiddenSize: hidden, headCount: 1, maximumSequenceLength: 8)
      layout = ParameterLayout(configuration)
      parameters = Buffer(Example.parameters(layout))
      var numbers = TestNumbers(12)
      t = Buffer(numbers.array(rows * hidden, scale: 2))
      labels = .allocate(capacity: rows)
      for row in 0..<rows { labels[row] = Int32((row * 397) % vocabulary) }
    }

    func bits(_ gradients: [Float]) -> [UInt32] {
      (gradients[..<layout.positionEmbeddings] + gradients[layout.predictionBias...]).map(\.bitPattern)
    }

    func whole(_ backend: any Backend) -> Result {
      let context = LayerContext(configuration: configuration, backend: backend, workspace: Workspace(), rowCapacity: rows)
      let (gradients, tGradient) = (Buffer(zeros: layout.count), Buffer(zeros: rows * configuration.hiddenSize))
      let loss = MaskedItemLoss(context)(
        t.matrix(rows, configuration.hiddenSize), labels: labels, tGradient: tGradient.matrix(rows, configuration.hiddenSize),
        overwritesTable: true, Pass(parameters: parameters.base, gradients: gradients.base, dropout: nil))
      return Result(loss: loss, rows: tGradient.values.map(\.bitPattern), table: bits(gradients.values))
    }

    /// By so many shares, one after the other, each by so many threads, one after the other.
    func divided(into count: Int, threads: Int, kept: Int, _ backend: () -> any Backend) -> Result {
      let (hidden, tiles) = (configuration.hiddenSize, VocabularyTile.count(vocabularySize: vocabulary))
      let shares = (0..<count).map { index in
        // What others own is not a number.
        let values = Buffer([Float](repeating: .nan, count: layout.count))
        let own = index * tiles / count..<(index + 1) * tiles / count
        for tile in own {
          for item in tile * MaskedItemLoss.tileWidth..<min((tile + 1) * MaskedItemLoss.tileWidth, vocabulary) {
            for column in item * hidden..<(item + 1) * hidden { values.base[column] = parameters.base[column] }
            values.base[layout.predictionBias + item] = parameters.base[layout.predictionBias + item]
          }
        }
        return VocabularyShare(
          configuration, parameters: values.base, tiles: own, backends: (0..<threads).map { _ in backend() }, keptExponentials: kept)
      }
      let chunks = stride(from: 0, to: rows, by: MaskedItemLoss.rowChunk).map { start in
        let range = start..<min(start + MaskedItemLoss.rowChunk, rows)
        return VocabularyShare.Chunk(rows: range, t: t.matrix(rows, hidden).rows(range), labels: labels + start)
      }
      let (sums, rowMaximum, rowSum) = (Buffer([Float](repeating: .nan, count: rows * hidden)), Buffer(zeros: rows), Buffer(zeros: rows))
      let (ofRows, labelLogits) = (SoftmaxSums(maximum: rowMaximum.base, sum: rowSum.base), Buffer(zeros: rows))
      OnlineSoftmax(ofRows, rowGradients: nil).begin(rows: rows)
      for share in shares {
        share.begin(chunks, rowCount: rows)
        for thread in 0..<threads { share.makeTiles(thread) }
        for (index, chunk) in chunks.enumerated() {
          let first = chunk.rows.lowerBound
          share.add(
            chunk, to: OnlineSoftmax(ofRows.rows(from: first), rowGradients: sums.base + first * hidden),
            labelLogits: labelLogits.base + first, thread: index % threads)
        }
      }
      var result = Result()
      let gradients = Buffer(zeros: layout.count)
      for (index, share) in shares.enumerated() {
        for tile in share.tiles {
          let items = share.vocabulary(tile)
          for (place, chunk) in chunks.enumerated() {
            share.addGradients(
              tile: tile, chunk, rows: ofRows, words: gradients.base + items.lowerBound * hidden,
              biases: gradients.base + layout.predictionBias + items.lowerBound, accumulates: place > 0, thread: index % threads)
          }
        }
      }
      let (tGradient, factors) = (Buffer(zeros: rows * hidden), Buffer(zeros: rows))
      for chunk in chunks {
        let first = chunk.rows.lowerBound
        result.loss += ofRows.rows(from: first).loss(labelLogits: labelLogits.base + first, rows: chunk.rows.count)
        DividedSoftmax.finish(
          sums.matrix(rows, hidden).rows(chunk.rows), rowSum: rowSum.base + first, labels: chunk.labels, words: parameters.base,
          backend: backend(), factors: factors.base, into: tGradient.base + first * hidden)
      }
      result.rows = tGradient.values.map(\.bitPattern)
      result.table = bits(gradients.values)
      return result
    }
  }

  /// More shares than tiles, too: some have none.
  @Test(arguments: TestBackend.fast, [6, 64]) func sameBitsAsTheWholeLoss(_ backend: TestBackend, hidden: Int) {
    let problem = Problem(hidden: hidden)
    let whole = problem.whole(backend.make())
    #expect(whole.loss.isFinite)
    for (count, threads, kept) in [(1, 1, 1 << 24), (2, 1, 1 << 24), (3, 2, 1 << 24), (4, 3, 0), (2, 2, 2 << 16), (8, 1, 1 << 24)] {
      let divided = problem.divided(into: count, threads: threads, kept: kept, backend.make)
      #expect(divided.loss == whole.loss, "\(count) shares")
      let (sameRows, sameTable) = (divided.rows == whole.rows, divided.table == whole.table)
      #expect(sameRows && sameTable, "\(count) shares")
    }
  }
}
