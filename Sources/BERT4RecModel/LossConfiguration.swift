import Masking

/// Which loss training minimises (`loss`).
public enum LossKind: String, Sendable, CaseIterable {
  /// The cross entropy over the whole vocabulary.
  case full
  /// The same with a denominator that is estimated from drawn negatives (Bengio & Senécal 2008).
  case sampled
  /// Binary cross entropy of the label and of drawn negatives, calibrated (Petrov & Macdonald 2023, arXiv 2308.07192).
  case gbce
  /// The cross entropy over the hardest items of some of the rows, found by random projections (Mezentsev et al. 2024, arXiv 2409.18721).
  case sce
}

/// How likely each row of the table is drawn as a negative (`negative_sampling`).
public enum NegativeSampling: String, Sendable, CaseIterable {
  /// All alike, each at most once.
  case uniform
  /// By (occurrences in training + 1) to the power of `negative_exponent`, with replacement.
  case popularity
}

/// Which positions have the same negatives (`negatives_per`).
public enum NegativeSharing: String, Sendable, CaseIterable {
  /// All of a gradient shard: their logits are one product.
  case shard
  /// None: each masked position has its own.
  case position
}

/// The loss, with what shapes it. What another loss would need is there, and not read.
public struct LossConfiguration: Sendable, Equatable {
  /// Which loss.
  public var kind = LossKind.full
  /// Negatives per gradient shard or position, k; no more than the vocabulary has rows.
  public var negatives = 256
  /// Which positions have the same ones.
  public var sharing = NegativeSharing.shard
  /// How likely each row is drawn.
  public var sampling = NegativeSampling.uniform
  /// Of popularity.
  public var exponent = 0.75
  /// t of gBCE: 0 leaves probabilities as overconfident as binary cross entropy makes them, 1 undoes that wholly.
  public var calibration = 0.75
  /// Buckets of SCE per block of instances; nil: √(2 M) for M masked rows.
  public var buckets: Int?
  /// Items of a bucket.
  public var bucketItems = 256

  /// A loss at the defaults of all that shapes it.
  public init(_ kind: LossKind = .full) { self.kind = kind }

  /// Rows of the table that are in a product with a masked row, of `vocabularySize`: what the loss costs.
  package func scoredRows(vocabularySize: Int) -> Int {
    switch kind {
    case .full: vocabularySize
    case .sampled, .gbce: negativeCount(vocabularySize: vocabularySize) + 1
    // A row is in two buckets.
    case .sce: 2 * min(bucketItems, vocabularySize) + 1
    }
  }

  /// Whether a step reads only rows that it touches, and which is known before it begins.
  package var readsFewRows: Bool { kind == .sampled || kind == .gbce }

  /// k, bounded by the vocabulary.
  package func negativeCount(vocabularySize: Int) -> Int { min(negatives, vocabularySize) }

  /// Exponent of gBCE's positive probability, β = α (t (1 - 1 / α) + 1 / α), α = k / (V - 1) the part of all negatives that is drawn.
  package func positiveExponent(vocabularySize: Int) -> Double {
    let part = min(1, Double(negativeCount(vocabularySize: vocabularySize)) / Double(max(1, vocabularySize - 1)))
    return part * (calibration * (1 - 1 / part) + 1 / part)
  }
}

/// What all draws of a loss depend on.
package struct NegativeKey: Sendable, Equatable {
  package let seed: UInt64
  package let step: Int
  /// The gradient shard, whoever computes it.
  package let shard: Int

  package init(seed: UInt64, step: Int, shard: Int) {
    self.seed = seed
    self.step = step
    self.shard = shard
  }

  /// Of the negatives that all of the shard's positions have.
  package var ofShard: UInt64 { KeyedRandom.bits64(seed: seed, .negatives, 0, UInt64(step), UInt32(shard)) }

  /// Of the negatives of a position: the `index`-th masked one of the instance at `place` in the batch.
  package func ofPosition(_ index: Int, place: Int32) -> UInt64 {
    KeyedRandom.bits64(seed: seed, .negatives, UInt32(1 + index), UInt64(step), UInt32(bitPattern: place))
  }
}
