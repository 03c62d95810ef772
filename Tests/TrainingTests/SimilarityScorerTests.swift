import BERT4RecModel
import Evaluation
import Masking
import Testing
import Training

@Suite struct SimilarityScorerTests {
  /// More tokens than a tile has; odd sizes.
  private static let model = ModelConfiguration(
    vocabularySize: ScoreTile.width + 77, hiddenSize: 13, layerCount: 1, headCount: 1, intermediateSize: 7, maximumSequenceLength: 5)

  private func state() throws -> ModelState {
    let state = try ModelState(Self.model, withMoments: false)
    state.initialize(seed: 5)
    // Rows of different lengths, and one of zeros.
    for row in 0..<Self.model.vocabularySize {
      for element in 0..<13 { state.parameters[state.layout.wordEmbeddings + row * 13 + element] *= Float(row % 7) + (row == 7 ? 0 : 0.5) }
    }
    for element in 0..<13 { state.parameters[state.layout.wordEmbeddings + 21 * 13 + element] = 0 }
    return state
  }

  /// The cosine in double precision.
  private func cosine(_ state: ModelState, _ a: Int, _ b: Int) -> Double {
    func row(_ item: Int) -> [Double] { (0..<13).map { Double(state.parameters[state.layout.wordEmbeddings + item * 13 + $0]) } }
    func product(_ a: [Double], _ b: [Double]) -> Double { zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } }
    let (a, b) = (row(a), row(b))
    let lengths = (product(a, a) * product(b, b)).squareRoot()
    return lengths == 0 ? 0 : product(a, b) / lengths
  }

  @Test func scoresAreCosines() throws {
    let state = try state()
    var batch = PackedBatch()
    let items = [4, 21, 4000, Self.model.vocabularySize - 4]
    for (place, item) in items.enumerated() {
      for token in [9, item, Self.model.vocabularySize - 3] { batch.append(token: Int32(token), label: token == item ? nil : 1) }
      batch.endInstance(place: place)
    }
    let scorer = try SimilarityScorer(state, threads: 2)
    let size = Self.model.vocabularySize
    let scores = Array(try scorer.scores(batch))
    for (place, item) in items.enumerated() {
      for token in 0..<size {
        #expect(abs(Double(scores[place * size + token]) - cosine(state, item, token)) < 2e-6, "\(item), \(token)")
      }
    }
    #expect(scorer.tileScorers.count == 2)
    for tiles in scorer.tileScorers {
      try tiles.begin(batch)
      for tokens in [0..<ScoreTile.width, ScoreTile.width..<size, 5..<6] {
        let tile = tiles.tile(tokens)
        let rows = items.indices.map { instance in tokens.map { tile.row(instance)[$0] } }
        for (instance, row) in rows.enumerated() {
          #expect(row == Array(scores[(instance * size + tokens.lowerBound)..<(instance * size + tokens.upperBound)]))
        }
      }
      #expect(tiles.score(instance: 2, token: 17) == scores[2 * size + 17])
    }
  }

  /// Through the recommender: the nearest first, the item itself not among them.
  @Test func findsTheNearest() throws {
    let state = try state()
    let itemCount = Self.model.vocabularySize - 4
    let recommender = try Recommender(
      scorer: SimilarityScorer(state), itemCounts: [Int64](repeating: 1, count: itemCount), maximumLength: 2)
    for list in [4, 300].map({ Int32($0) }) {
      let found = try recommender.recommend(histories: [[list]], topK: 12)[0].items
      let expected = (1...itemCount).filter { $0 != Int(list) }.sorted { cosine(state, Int(list), $0) > cosine(state, Int(list), $1) }
      #expect(found.count == 12 && !found.contains { $0.item == list })
      for (place, item) in found.enumerated() { #expect(abs(item.score - cosine(state, Int(list), expected[place])) < 2e-6) }
    }
  }
}
