import BERT4RecDist
import BERT4RecModel
import Foundation
import InteractionData
import Masking
import TestSupport
import Testing

/// What the articles of the library's documentation show is here, compiled and run.
@Suite struct ExamplesTests {
  @Test func hooks() throws {
    try TemporaryFolder.with { folder in
      let outcome = try trainWithHooks(in: "\(folder)/run", SoloCommunicator())
      // ln(124) is 4.82; the bound of 4.6 is reached after some 120 of 300 steps.
      #expect(outcome == .stopped)
      let lines = try String(contentsOfFile: "\(folder)/run/metrics.jsonl", encoding: .utf8)
      #expect(lines.contains(#""step""#))
    }
  }

  /// On the demo's rings the next item is known nine times of ten.
  @Test func scorer() throws {
    let dataset = try loadDataset("builtin:demo", log: { _ in })
    let report = try #require(try evaluateWhatFollows(dataset, SoloCommunicator()))
    #expect(try #require(report.value("ndcg@10[full]")) > 0.7)
  }

  @Test func reader() throws {
    let dataset = try readPlaylists("anna: So What | Blue in Green\nbert: Blue in Green |So What|Blue in Green\n")
    #expect(dataset.itemCounts == [3, 2])
    #expect((0..<2).map { String(decoding: dataset.itemIDs[$0], as: UTF8.self) } == ["Blue in Green", "So What"])
    #expect(Array(dataset.sequences[0]) == [2, 1])
    #expect(Array(dataset.sequences[1]) == [1, 2, 1])
    #expect(throws: ProgramFailure.self) { try readPlaylists("anna So What") }
  }

  /// The same interactions have one fingerprint, whether a program or a file brings them.
  @Test func dataInMemoryIsLikeThatOfAFile() throws {
    try TemporaryFolder.with { folder in
      let path = "\(folder)/listens.txt"
      try "u1 a\nu1 b\nu2 b\nu2 a\nu2 b\nu3 c\n".write(toFile: path, atomically: true, encoding: .utf8)
      let read = try loadDataset(path, log: { _ in })
      let made = Dataset(name: "listens", histories: [("u1", ["a", "b"]), ("u2", ["b", "a", "b"]), ("u3", ["c"])])
      #expect(made.fingerprint == read.fingerprint)
    }
  }

  @Test func step() throws {
    let losses = try oneStep(try loadDataset("builtin:demo", log: { _ in }))
    #expect(losses.after < losses.before)
  }

  @Test func backend() {
    let configuration = ModelConfiguration(
      vocabularySize: 60, hiddenSize: 12, layerCount: 2, headCount: 3, intermediateSize: 20, maximumSequenceLength: 8)
    var batch = PackedBatch()
    for place in 0..<3 {
      for token in 1...(4 + place) { batch.append(token: token == 3 ? 58 : Int32(token), label: token == 3 ? 9 : nil) }
      batch.endInstance(place: place)
    }
    let (own, reference) = (encoder(configuration), BidirectionalEncoder(configuration, backend: ReferenceBackend()))
    let parameters = (0..<own.layout.count).map { Float(($0 * 37) % 101) / 300 - 0.15 }
    let (a, b) = (
      own.loss(batch, parameters: parameters, gradients: nil, dropout: nil),
      reference.loss(batch, parameters: parameters, gradients: nil, dropout: nil)
    )
    #expect(abs(a - b) < 1e-4 * b)
  }

  /// Against finite differences, of t and of the table.
  @Test func loss() {
    let (rows, hidden, vocabulary) = (3, 5, 7)
    let labels: [Int32] = [1, 6, 2]
    let negatives: [Int32] = [4, 1, 6]
    let point = (0..<((rows + vocabulary) * hidden)).map { Float(($0 * 29) % 23) / 11 - 1 }
    func value(_ point: [Float]) -> (loss: Double, gradient: [Float]) {
      var (point, gradient) = (point, [Float](repeating: 0, count: point.count))
      let loss = point.withUnsafeMutableBufferPointer { numbers in
        gradient.withUnsafeMutableBufferPointer { gradients -> Double in
          guard let a = numbers.baseAddress, let b = gradients.baseAddress else { return .nan }
          return pairwiseLoss(
            Matrix(a, rows, hidden), labels: labels, negatives: negatives, table: Matrix(a + rows * hidden, vocabulary, hidden),
            tGradient: Matrix(b, rows, hidden), tableGradient: Matrix(b + rows * hidden, vocabulary, hidden))
        }
      }
      return (loss, gradient)
    }
    let gradient = value(point).gradient
    for place in point.indices {
      var (above, below) = (point, point)
      above[place] += 1e-2
      below[place] -= 1e-2
      let numeric = (value(above).loss - value(below).loss) / 2e-2
      #expect(abs(numeric - Double(gradient[place])) < 1e-3, "\(place)")
    }
  }

  /// The articles show this target's files as they are.
  @Test func articlesShowWhatIsCompiled() throws {
    let here = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    let sources = try FileManager.default.contentsOfDirectory(at: here, includingPropertiesForKeys: nil)
      .filter { $0.lastPathComponent.contains("Example") }.map { try String(contentsOf: $0, encoding: .utf8) }
    let catalogue = here.deletingLastPathComponent().deletingLastPathComponent()
      .appendingPathComponent("Sources/BERT4RecDist/BERT4RecDist.docc")
    let articles = try FileManager.default.contentsOfDirectory(at: catalogue, includingPropertiesForKeys: nil)
      .filter { $0.pathExtension == "md" }
    var blocks = 0
    for article in articles {
      let parts = try String(contentsOf: article, encoding: .utf8).components(separatedBy: "```")
      for code in stride(from: 1, to: parts.count, by: 2).map({ parts[$0] }) where code.hasPrefix("swift\n") {
        blocks += 1
        let code = code.dropFirst("swift\n".count).trimmingCharacters(in: .newlines)
        #expect(sources.contains { $0.contains(code) }, "\(article.lastPathComponent) has other code than Tests/LibraryTests: \(code)")
      }
    }
    #expect(blocks >= 9)
  }
}
