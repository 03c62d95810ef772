import BERT4RecModel
import Glibc

/// The plain twins of the losses that need a few items only: one scalar at a time, in double, loss and gradients together.
///
/// Letters: M rows of t, V vocabulary, H hidden.
struct PlainLoss {
  let hidden: Int
  let words: [Float]  // (V, H)
  let biases: [Float]  // (V)
  let t: [Float]  // (M, H)
  var value = 0.0
  var wordGradient: [Double]
  var biasGradient: [Double]
  var tGradient: [Double]

  init(words: [Float], biases: [Float], t: [Float]) {
    hidden = words.count / biases.count
    (self.words, self.biases, self.t) = (words, biases, t)
    wordGradient = words.map { _ in 0 }
    biasGradient = biases.map { _ in 0 }
    tGradient = t.map { _ in 0 }
  }

  func logit(_ row: Int, _ item: Int) -> Double {
    (0..<hidden).reduce(Double(biases[item])) { $0 + Double(t[row * hidden + $1]) * Double(words[item * hidden + $1]) }
  }

  /// A logit's slope goes where its parts came from.
  mutating func add(slope: Double, _ row: Int, _ item: Int) {
    biasGradient[item] += slope
    for column in 0..<hidden {
      tGradient[row * hidden + column] += slope * Double(words[item * hidden + column])
      wordGradient[item * hidden + column] += slope * Double(t[row * hidden + column])
    }
  }

  /// log(exp s_y + Σ weight exp s_j) - s_y over candidates other than the label.
  func softmaxLoss(_ row: Int, label: Int, candidates: [(item: Int, weight: Double)]) -> Double {
    let others = candidates.filter { $0.item != label }
    return log(exp(logit(row, label)) + others.reduce(0) { $0 + $1.weight * exp(logit(row, $1.item)) }) - logit(row, label)
  }

  mutating func addSoftmax(_ row: Int, label: Int, candidates: [(item: Int, weight: Double)]) {
    let loss = softmaxLoss(row, label: label, candidates: candidates)
    value += loss
    let denominator = loss + logit(row, label)
    add(slope: exp(logit(row, label) - denominator) - 1, row, label)
    for candidate in candidates where candidate.item != label {
      add(slope: candidate.weight * exp(logit(row, candidate.item) - denominator), row, candidate.item)
    }
  }

  /// -β log σ(s_y) - Σ log(1 - σ(s_j)).
  mutating func addBinary(_ row: Int, label: Int, candidates: [Int], exponent: Double) {
    func sigmoid(_ x: Double) -> Double { 1 / (1 + exp(-x)) }
    value -= exponent * log(sigmoid(logit(row, label)))
    add(slope: exponent * (sigmoid(logit(row, label)) - 1), row, label)
    for item in candidates where item != label {
      value -= log(sigmoid(-logit(row, item)))
      add(slope: sigmoid(logit(row, item)), row, item)
    }
  }
}
