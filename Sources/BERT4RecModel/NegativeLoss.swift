import Masking
import SystemSupport

/// The losses that compare a masked row's label with drawn negatives: `sampled` and `gbce`.
///
/// Letters: M masked rows, k negatives j with logits s, label y; a negative that is the row's own label is left out.
///
/// `sampled` estimates the full loss's denominator from the drawn ones, without bias, since each counts as often as it stands for:
///
///     loss = Σ log(exp s_y + Σ_j exp(s_j - log(k q_j))) - s_y
///
/// where k q_j is how often j is expected among k draws. Where the negatives are all rows, each once, it is the full loss.
/// `gbce` is gSASRec's loss, times k + 1, with the label's probability to the power of β (`LossConfiguration.positiveExponent`):
///
///     loss = -Σ (β log σ(s_y) + Σ_j log(1 - σ(s_j)))
package final class NegativeLoss {
  /// Rows whose logits are made at once. Shapes the order of additions.
  package static let rowChunk = 256
  /// Of gBCE: exponentials of a row are made under one maximum up to here, of which float32 holds twice as much.
  package static let highestSharedLogit: Float = 40

  private let context: LayerContext
  private let loss: LossConfiguration
  private let sampler: RowSampler?
  private let negativeCount: Int
  private let exponent: Double
  private let candidates: CandidateRows
  private let logits: UnsafeMutablePointer<Float>  // (rows, C), rows `CandidateRows.stride` apart
  private let softmax: RowSoftmax

  /// - Parameter sampler: nil where it is only counted how much memory there will be.
  package init(_ context: LayerContext, _ loss: LossConfiguration, _ sampler: RowSampler?) {
    self.context = context
    self.loss = loss
    self.sampler = sampler
    let vocabulary = context.configuration.vocabularySize
    negativeCount = loss.negativeCount(vocabularySize: vocabulary)
    exponent = loss.positiveExponent(vocabularySize: vocabulary)
    let rows = loss.sharing == .shard ? Self.rowChunk : 1
    candidates = CandidateRows(context, capacity: negativeCount, rowCapacity: rows)
    logits = context.workspace.floats(rows * CandidateRows.stride(negativeCount))
    softmax = RowSoftmax(context, rows: rows)
  }

  /// The loss of t (M, H), the rows of a block. With a place for it, overwrites tGradient (M, H) and adds the gradients of the table
  /// and the bias.
  package func callAsFunction(_ t: Matrix, _ block: Block, tGradient: Matrix?, _ pass: Pass) -> Double {
    guard let key = pass.negatives else { preconditionFailure("negatives need a key") }
    switch loss.sharing {
    case .shard:
      draw(key.ofShard, pass)
      return shared(t, block.labels, tGradient: tGradient, pass)
    case .position:
      var sum = 0.0
      for instance in 0..<block.instanceCount {
        let rows = block.maskedRange(instance)
        for row in rows {
          draw(key.ofPosition(row - rows.lowerBound, place: block.places[instance]), pass)
          sum += shared(t.rows(row..<row + 1), block.labels + row, tGradient: tGradient?.rows(row..<row + 1), pass)
        }
      }
      return sum
    }
  }

  private func draw(_ key: UInt64, _ pass: Pass) {
    guard let sampler else { preconditionFailure("no sampler") }
    sampler.draw(key, into: candidates.ids, count: negativeCount)
    // gBCE's stay 0, as the workspace is.
    if loss.kind == .sampled {
      sampler.corrections(of: candidates.ids, count: negativeCount, into: candidates.corrections)
    }
    candidates.gather(negativeCount, pass)
    Liveness.tick()
  }

  /// Rows that have the same negatives, which are gathered.
  private func shared(_ t: Matrix, _ labels: UnsafePointer<Int32>, tGradient: Matrix?, _ pass: Pass) -> Double {
    var sum = 0.0
    var start = 0
    while start < t.rows {
      let rows = start..<min(start + Self.rowChunk, t.rows)
      sum += chunk(t.rows(rows), labels + start, tGradient: tGradient?.rows(rows), pass)
      start = rows.upperBound
    }
    if tGradient != nil { candidates.scatter(pass) }
    return sum
  }

  private func chunk(_ t: Matrix, _ labels: UnsafePointer<Int32>, tGradient: Matrix?, _ pass: Pass) -> Double {
    let logits = Matrix(logits, t.rows, negativeCount, stride: CandidateRows.stride(negativeCount))
    let terms = LabelTerms(context, pass)
    candidates.logits(t, labels: labels, into: logits)
    for row in 0..<t.rows { softmax.labelLogits[row] = terms.logit(t.base + row * t.stride, label: labels[row]) }
    let sum = loss.kind == .gbce ? calibrated(logits) : softmax.forward(logits, context.backend)
    guard let tGradient else { return sum }
    candidates.backward(logits, factors: softmax.factors, t, tGradient: tGradient)
    for row in 0..<t.rows {
      terms.backward(
        t.base + row * t.stride, label: labels[row], slope: softmax.labelSlopes[row], tGradient: tGradient.base + row * t.columns)
    }
    return sum
  }

  /// gBCE: logits become their slopes σ(s), factors 1.
  private func calibrated(_ logits: Matrix) -> Double {
    var sum = 0.0
    var highest: Float = 0
    for row in 0..<logits.rows {
      let label = Logistic(Double(softmax.labelLogits[row]))
      sum += exponent * label.negativeLog
      softmax.labelSlopes[row] = Float(-exponent * label.complement)
      softmax.factors[row] = 1
      let values = logits.base + row * logits.stride
      for column in 0..<logits.columns where !(values[column] <= highest) { highest = values[column] }
    }
    // Where nothing can overflow or vanish, the kernel of the softmax makes the exponentials.
    return sum + (highest <= Self.highestSharedLogit ? sharedExponentials(logits) : ownExponentials(logits))
  }

  /// Σ log(1 + exp s) from exponentials under a row's maximum m, or 0: σ(s) = e / (e + exp(-m)), e = exp(s - m).
  private func sharedExponentials(_ logits: Matrix) -> Double {
    softmax.exponentials(logits, from: 0, context.backend)
    var sum = 0.0
    for row in 0..<logits.rows {
      let (values, maximum) = (logits.base + row * logits.stride, Double(softmax.sums.maximum[row]))
      let (one, scale) = (Float(PortableMath.exp(-maximum)), PortableMath.exp(maximum))
      var product = 1.0
      for column in 0..<logits.columns {
        let e = values[column]
        product *= 1 + Double(e) * scale
        if product > 1e250 {
          sum += PortableMath.log(product)
          product = 1
        }
        values[column] = e / (e + one)
      }
      sum += PortableMath.log(product)
    }
    return sum
  }

  /// The same, each number by itself: log(1 + exp s) = max(s, 0) + log(1 + exp -|s|).
  private func ownExponentials(_ logits: Matrix) -> Double {
    var sum = 0.0
    for row in 0..<logits.rows {
      let values = logits.base + row * logits.stride
      for column in 0..<logits.columns {
        let logistic = Logistic(-Double(values[column]))
        sum += logistic.negativeLog
        values[column] = Float(logistic.complement)
      }
    }
    return sum
  }
}

/// -log σ(s) and 1 - σ(s).
private struct Logistic {
  let negativeLog: Double
  let complement: Double

  init(_ s: Double) {
    let e = PortableMath.exp(-abs(s))
    negativeLog = (s < 0 ? -s : 0) + PortableMath.log(1 + e)
    complement = (s > 0 ? e : 1) / (1 + e)
  }
}

/// The softmax of each row over its label and its candidates.
package struct RowSoftmax {
  package let labelLogits: UnsafeMutablePointer<Float>  // (R)
  /// d loss / d label logit.
  package let labelSlopes: UnsafeMutablePointer<Float>  // (R)
  /// What the exponentials lack to be probabilities.
  package let factors: UnsafeMutablePointer<Float>  // (R)
  /// Of each row, after `forward`.
  package let losses: UnsafeMutablePointer<Double>  // (R)
  let sums: SoftmaxSums

  package init(_ context: LayerContext, rows: Int) {
    func floats() -> UnsafeMutablePointer<Float> { context.workspace.floats(rows) }
    (labelLogits, labelSlopes, factors) = (floats(), floats(), floats())
    losses = context.workspace.doubles(rows)
    sums = SoftmaxSums(maximum: floats(), sum: floats())
  }

  /// Logits (R, C) become exponentials; the loss of all rows. The label is what an online softmax has seen before.
  package func forward(_ logits: Matrix, _ backend: any Backend) -> Double {
    for row in 0..<logits.rows {
      sums.maximum[row] = labelLogits[row]
      sums.sum[row] = 1
    }
    backend.tileExponentials(logits, bias: nil, sums)
    var sum = 0.0
    for row in 0..<logits.rows {
      let (total, maximum, label) = (Double(sums.sum[row]), Double(sums.maximum[row]), Double(labelLogits[row]))
      losses[row] = PortableMath.log(total) + maximum - label
      sum += losses[row]
      factors[row] = Float(1 / total)
      labelSlopes[row] = Float(PortableMath.exp(label - maximum) / total - 1)
    }
    return sum
  }

  /// Logits (R, C) become exp(logit - maximum), under the larger of `least` and their own maximum, which `sums` then has.
  func exponentials(_ logits: Matrix, from least: Float, _ backend: any Backend) {
    for row in 0..<logits.rows { (sums.maximum[row], sums.sum[row]) = (least, 0) }
    backend.tileExponentials(logits, bias: nil, sums)
  }
}
