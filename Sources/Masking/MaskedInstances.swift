import InteractionData

/// How windows become masked instances (the original's data generation flags).
package struct MaskingConfiguration: Sendable, Equatable {
  /// Part of a window's items that is to be predicted.
  package var maskedProbability: Double
  /// At most so many in one instance.
  package var maximumPredictions: Int
  /// Probability that a chosen item is replaced by `[MASK]`; otherwise it is kept or replaced by a random item, half each.
  package var maskProbability: Double
  /// Instances made of a window with different masks; one more has only its last position masked.
  package var duplicationFactor: Int
  /// True draws new masks each epoch; false keeps an instance's mask for the whole run, as the original's stored files do.
  package var isDynamic: Bool

  package init(
    maskedProbability: Double = 0.2, maximumPredictions: Int = 40, maskProbability: Double = 1,
    duplicationFactor: Int = 10, isDynamic: Bool = true
  ) {
    self.maskedProbability = maskedProbability
    self.maximumPredictions = maximumPredictions
    self.maskProbability = maskProbability
    self.duplicationFactor = duplicationFactor
    self.isDynamic = isDynamic
  }

  /// How many positions of a window are masked: min(maximum, max(1, round(length * probability))), halves away from zero.
  package func maskedCount(length: Int) -> Int {
    let wanted = (Double(length) * maskedProbability).rounded(.toNearestOrAwayFromZero)
    return min(length, min(maximumPredictions, max(1, Int(wanted))))
  }
}

/// The endless stream of training instances: windows * (duplicationFactor + 1) an epoch, each epoch in an order of its own, made
/// on the fly and never stored; or, where instances are `stored`, just these, the first epoch in their own order. A position of the stream
/// always gives the same instance, on any rank.
package struct MaskedInstances: Sendable {
  package let windows: Windows
  package let tokens: TokenIDs
  package let configuration: MaskingConfiguration
  package let seed: UInt64
  /// What takes the place of the windows and masks.
  package let stored: StoredInstances?

  package init(
    windows: Windows, tokens: TokenIDs, configuration: MaskingConfiguration, seed: UInt64, stored: StoredInstances? = nil
  ) {
    precondition(windows.count > 0)
    self.stored = stored
    self.windows = windows
    self.tokens = tokens
    self.configuration = configuration
    self.seed = seed
  }

  /// Instances an epoch.
  package var epochCount: Int { stored?.count ?? windows.count * (configuration.duplicationFactor + 1) }

  /// Tokens of the longest one.
  package var longest: Int { stored?.longest ?? windows.longest }

  /// Index of the user whose sequence an instance is made of.
  package func user(of reference: Reference) -> Int { stored?.user(of: reference.element) ?? windows.user(of: reference.window) }

  /// An instance before its tokens are made.
  package struct Reference: Sendable, Equatable {
    /// 0 where it is stored.
    package let window: Int
    package let epoch: Int
    /// Which instance of the epoch: window * (duplicationFactor + 1) + copy, or its place among the stored ones.
    package let element: Int
    /// The instance whose last position alone is masked; false where it is stored.
    package let masksLast: Bool
    package let tokenCount: Int
    package let maskedCount: Int
  }

  /// The order of one epoch.
  package func order(epoch: Int) -> KeyedPermutation { KeyedPermutation(count: epochCount, seed: seed, round: epoch) }

  /// The instance at a position of the stream (0 ..< epochCount is epoch 0). `order` must be that epoch's.
  package func reference(at position: Int, order: KeyedPermutation) -> Reference {
    if let stored {
      let place = position % epochCount
      let element = position < epochCount ? place : order[place]
      return Reference(
        window: 0, epoch: position / epochCount, element: element, masksLast: false, tokenCount: stored.tokenCount(of: element),
        maskedCount: stored.maskedCount(of: element))
    }
    let copies = configuration.duplicationFactor + 1
    let element = order[position % epochCount]
    let window = element / copies
    let masksLast = element % copies == configuration.duplicationFactor
    let length = windows.length(of: window)
    return Reference(
      window: window, epoch: position / epochCount, element: element, masksLast: masksLast, tokenCount: length,
      maskedCount: masksLast ? 1 : configuration.maskedCount(length: length))
  }

  /// Adds an instance's tokens, masked positions and labels to a batch.
  package func append(_ reference: Reference, place: Int, to batch: inout PackedBatch) {
    if let stored { return stored.append(reference.element, place: place, to: &batch) }
    let items = windows[reference.window]
    if reference.masksLast {
      for item in items.dropLast() { batch.append(token: item) }
      batch.append(token: tokens.mask, label: items[items.count - 1])
      batch.endInstance(place: place)
      return
    }
    var random = KeyedStream(
      seed: seed, .masking, UInt64(reference.element),
      UInt32(truncatingIfNeeded: configuration.isDynamic ? reference.epoch : 0))
    // Selection sampling (Knuth, volume 2, algorithm S): every set of positions is equally likely, in ascending order.
    var wanted = reference.maskedCount
    for position in 0..<items.count {
      let item = items[position]
      if random.next(below: items.count - position) < wanted {
        wanted -= 1
        batch.append(token: replacement(for: item, &random), label: item)
      } else {
        batch.append(token: item)
      }
    }
    batch.endInstance(place: place)
  }

  private func replacement(for item: Int32, _ random: inout KeyedStream) -> Int32 {
    if configuration.maskProbability >= 1 || random.nextBool(probability: configuration.maskProbability) {
      return tokens.mask
    }
    if random.nextBool(probability: 0.5) { return item }
    return Int32(1 + random.next(below: tokens.itemCount))
  }
}
