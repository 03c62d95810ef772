import BERT4RecModel
import SystemSupport

/// Which loss is trained with; docs/large-catalogues.md says how to choose.
extension ConfigurationKey {
  static let ofTheLoss: [ConfigurationKey] = [
    choice(
      "loss", \.loss.kind,
      "full: cross entropy over the whole vocabulary; for large catalogues sampled: the same, its denominator estimated from "
        + "negatives; gbce: calibrated binary cross entropy with negatives; sce: cross entropy over the hardest items of some rows"),
    integer(
      "negatives", \.loss.negatives, 1...65_536,
      "rows of the vocabulary that sampled and gbce draw, for each gradient shard or position; no more than there are"),
    choice(
      "negatives_per", \.loss.sharing,
      "shard: all positions of a gradient shard have the same negatives, which is fast; position: each has its own"),
    choice(
      "negative_sampling", \.loss.sampling,
      "how sampled draws; uniform: all alike, each at most once; popularity: by occurrences in training, as negative_exponent says"),
    real(
      "negative_exponent", \.loss.exponent, 0...2,
      "with negative_sampling popularity, negatives are drawn by (occurrences + 1) to this power"),
    real(
      "gbce_calibration", \.loss.calibration, 0...1,
      "t of gbce; 0: plain binary cross entropy, which is overconfident with few negatives; 1: that is undone"),
    optionalInteger(
      "sce_buckets", \.loss.buckets, 1...BucketLoss.maximumBuckets,
      "buckets of sce per block of instances; a masked row is in two of them on average; auto: the root of twice the masked rows",
      mayChange: false),
    integer("sce_bucket_items", \.loss.bucketItems, 1...16_384, "items of each bucket of sce"),
    choice(
      "table_adam", \.tableAdam,
      "what Adam does to items that a step does not touch, with a loss other than full; exact: the same as to all others; lazy: "
        + "nothing, which is faster with many items"),
    choice(
      "table", \.table,
      "where the items' embeddings are, with their moments; replicated: all on each rank; sharded: a part on each, for catalogues that fit "
        + "no rank and slow networks; the same bits either way", mayChange: true),
  ]

  /// The first key that was set for another loss than the one that is chosen, in words; nil where there is none.
  static func misfit(_ loss: LossConfiguration) -> String? {
    let usual = LossConfiguration()
    let drawing: [LossKind] = [.sampled, .gbce]
    let uses: [(name: String, isSet: Bool, losses: [LossKind])] = [
      ("negatives", loss.negatives != usual.negatives, drawing),
      ("negatives_per", loss.sharing != usual.sharing, drawing),
      ("negative_sampling", loss.sampling != usual.sampling, [.sampled]),
      ("negative_exponent", loss.exponent != usual.exponent, [.sampled]),
      ("gbce_calibration", loss.calibration != usual.calibration, [.gbce]),
      ("sce_buckets", loss.buckets != usual.buckets, [.sce]),
      ("sce_bucket_items", loss.bucketItems != usual.bucketItems, [.sce]),
    ]
    if let use = uses.first(where: { $0.isSet && !$0.losses.contains(loss.kind) }) {
      let losses = use.losses.map(\.rawValue).joined(separator: " or ")
      return "\(use.name) is for loss \(losses), and loss is \(loss.kind.rawValue), which does not read it: change one of the two, or "
        + "leave \(use.name) out."
    }
    if loss.exponent != usual.exponent && loss.sampling != .popularity {
      return "negative_exponent is for negative_sampling popularity, and negative_sampling is \(loss.sampling.rawValue): change one of "
        + "the two, or leave negative_exponent out."
    }
    return nil
  }
}
