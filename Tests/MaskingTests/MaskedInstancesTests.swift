import InteractionData
import Masking
import Testing

@Suite struct WindowsTests {
  private func windows(length: Int, maximum: Int, step: Int) -> [[Int32]] {
    // One more item than training sees: the test item.
    let sequences = Sequences([(1...Int32(length + 1)).map { $0 }])
    let windows = Windows(
      LeaveOneOut(sequences, holdout: .test), maximumLength: maximum, slidingStep: step)
    return (0..<windows.count).map { Array(windows[$0]) }
  }

  @Test func shortSequencesAreOneWindow() {
    #expect(windows(length: 5, maximum: 5, step: 2) == [[1, 2, 3, 4, 5]])
    #expect(windows(length: 4, maximum: 5, step: 2) == [[1, 2, 3, 4]])
  }

  /// Python: range(len - L, 0, -step) + [0].
  @Test func longSequencesStepBackFromTheEnd() {
    #expect(windows(length: 9, maximum: 4, step: 2) == [[6, 7, 8, 9], [4, 5, 6, 7], [2, 3, 4, 5], [1, 2, 3, 4]])
    #expect(windows(length: 8, maximum: 4, step: 4) == [[5, 6, 7, 8], [1, 2, 3, 4]])
    #expect(windows(length: 6, maximum: 4, step: 2) == [[3, 4, 5, 6], [1, 2, 3, 4]])
  }

  @Test func trainingSeesNothingThatIsHeldOut() {
    let sequences = Sequences([[1, 2], [3, 4, 5], [6, 7, 8, 9]])
    func all(_ holdsOut: Bool) -> [[Int32]] {
      let windows = Windows(LeaveOneOut(sequences, holdout: holdsOut ? .testAndValidation : .test), maximumLength: 9, slidingStep: 1)
      return (0..<windows.count).map { Array(windows[$0]) }
    }
    #expect(all(false) == [[1, 2], [3, 4], [6, 7, 8]])
    #expect(all(true) == [[1, 2], [3], [6, 7]])
  }
}

@Suite struct MaskedInstancesTests {
  private func instances(
    _ lengths: [Int], configuration: MaskingConfiguration = MaskingConfiguration(), seed: UInt64 = 9
  ) -> MaskedInstances {
    // Two interactions or fewer: no item is held out.
    let sequences = Sequences(lengths.map { length in (0..<Int32(length + 1)).map { 1 + $0 % 50 } })
    let windows = Windows(LeaveOneOut(sequences, holdout: .test), maximumLength: 40, slidingStep: 20)
    return MaskedInstances(
      windows: windows, tokens: TokenIDs(itemCount: 50), configuration: configuration, seed: seed)
  }

  private func batch(_ instances: MaskedInstances, _ positions: Range<Int>) -> PackedBatch {
    var batch = PackedBatch()
    for position in positions {
      let order = instances.order(epoch: position / instances.epochCount)
      instances.append(instances.reference(at: position, order: order), place: position, to: &batch)
    }
    return batch
  }

  /// Halves go away from zero as in Python 2, and one position is always masked.
  @Test func maskedCounts() {
    let configuration = MaskingConfiguration(maskedProbability: 0.5, maximumPredictions: 6)
    #expect([1, 2, 3, 4, 5, 11, 12, 30].map(configuration.maskedCount) == [1, 1, 2, 2, 3, 6, 6, 6])
    #expect(MaskingConfiguration(maskedProbability: 0.01).maskedCount(length: 1) == 1)
  }

  @Test func anEpochHasEveryCopyOfEveryWindow() {
    let instances = instances([3, 7, 30], configuration: MaskingConfiguration(duplicationFactor: 4))
    #expect(instances.epochCount == 15)
    for epoch in 0..<2 {
      let order = instances.order(epoch: epoch)
      let references = (0..<15).map { instances.reference(at: epoch * 15 + $0, order: order) }
      #expect(Set(references.map(\.element)) == Set(0..<15))
      #expect(references.filter(\.masksLast).map(\.window).sorted() == [0, 1, 2])
      #expect(references.allSatisfy { $0.epoch == epoch })
    }
  }

  @Test func labelsAreWhatStoodThere() {
    let instances = instances([3, 7, 30])
    let batch = batch(instances, 0..<66)
    #expect(batch.instanceCount == 33 * 2)
    for instance in 0..<batch.instanceCount {
      let reference = instances.reference(
        at: instance, order: instances.order(epoch: instance / instances.epochCount))
      let rows = batch.tokenRange(of: instance)
      let masked = Int(batch.maskedOffsets[instance])..<Int(batch.maskedOffsets[instance + 1])
      #expect(rows.count == reference.tokenCount)
      #expect(masked.count == reference.maskedCount)
      var restored = Array(batch.tokens[rows])
      for index in masked {
        let row = Int(batch.maskedRows[index])
        #expect(batch.tokens[row] == instances.tokens.mask)
        restored[row - rows.lowerBound] = batch.labels[index]
      }
      #expect(restored == Array(instances.windows[reference.window]))
      #expect(Array(batch.maskedRows[masked]).sorted() == Array(batch.maskedRows[masked]))
      if reference.masksLast { #expect(batch.maskedRows[masked.lowerBound] == Int32(rows.upperBound - 1)) }
    }
  }

  @Test func positionsAreChosenUniformly() {
    let instances = instances([10], configuration: MaskingConfiguration(maskedProbability: 0.3, duplicationFactor: 1000))
    let batch = batch(instances, 0..<1001)
    var counts = [Int](repeating: 0, count: 10)
    let (offsets, maskedRows) = (batch.maskedOffsets, batch.maskedRows)
    for instance in 0..<1001 where offsets[instance + 1] - offsets[instance] == 3 {
      for index in offsets[instance]..<offsets[instance + 1] {
        counts[Int(maskedRows[Int(index)]) - batch.tokenRange(of: instance).lowerBound] += 1
      }
    }
    #expect(counts.reduce(0, +) == 3000)
    for count in counts { #expect(abs(count - 300) < 75) }
  }

  @Test func masksAreFreshEachEpochOrFixed() {
    func masks(isDynamic: Bool, epoch: Int) -> [Int32: [Int32]] {
      let instances = instances([30], configuration: MaskingConfiguration(isDynamic: isDynamic))
      var result: [Int32: [Int32]] = [:]
      let order = instances.order(epoch: epoch)
      for position in 0..<11 {
        let reference = instances.reference(at: epoch * 11 + position, order: order)
        var batch = PackedBatch()
        instances.append(reference, place: 0, to: &batch)
        result[Int32(reference.element)] = batch.maskedRows
      }
      return result
    }
    #expect(masks(isDynamic: false, epoch: 0) == masks(isDynamic: false, epoch: 1))
    #expect(masks(isDynamic: true, epoch: 0) != masks(isDynamic: true, epoch: 1))
    #expect(masks(isDynamic: true, epoch: 3) == masks(isDynamic: true, epoch: 3))
    #expect(Set(masks(isDynamic: true, epoch: 0).values).count > 8)
  }

  /// mask_prob 0.8: 80 % [MASK], 10 % kept, 10 % random items.
  @Test func replacementsFollowTheirProbabilities() {
    let instances = instances(
      [40], configuration: MaskingConfiguration(maskedProbability: 0.5, maskProbability: 0.8, duplicationFactor: 1000))
    let batch = batch(instances, 0..<1001)
    var (masked, kept, random, total) = (0, 0, 0, 0)
    for (row, label) in zip(batch.maskedRows, batch.labels) {
      let token = batch.tokens[Int(row)]
      total += 1
      if token == instances.tokens.mask { masked += 1 } else if token == label { kept += 1 } else { random += 1 }
      #expect((1...51).contains(token))
    }
    #expect(abs(Double(masked) / Double(total) - 0.8) < 0.02)
    #expect(abs(Double(kept) / Double(total) - 0.102) < 0.02)
    #expect(abs(Double(random) / Double(total) - 0.098) < 0.02)
  }

  @Test func queriesEndWithTheMask() {
    let history: [Int32] = [1, 2, 3, 4, 5]
    var batch = PackedBatch()
    history.withUnsafeBufferPointer {
      batch.appendQuery(history: $0, maximumLength: 4, mask: 51, label: 6, place: 0)
      batch.appendQuery(history: $0, maximumLength: 9, mask: 51, place: 1)
    }
    #expect(batch.tokens == [3, 4, 5, 51, 1, 2, 3, 4, 5, 51])
    #expect(batch.maskedRows == [3, 9])
    #expect(batch.labels == [6, 0])
  }

  /// Emptied and filled again, and grown from any size, a batch is what a fresh one is.
  @Test func batchesAreFilledAgain() {
    let instances = instances([3, 7, 30, 1])
    var again = PackedBatch()
    for count in [0, 1, 40, 7, 44, 0, 2] {
      again.removeAll()
      #expect(again == PackedBatch() && again.offsets == [0] && again.maskedOffsets == [0])
      let order = instances.order(epoch: 0)
      for position in 0..<count {
        instances.append(instances.reference(at: position, order: order), place: 5 * position, to: &again)
      }
      #expect(again.instanceCount == count && again.places == (0..<Int32(count)).map { 5 * $0 })
      var fresh = PackedBatch()
      for position in 0..<count {
        instances.append(instances.reference(at: position, order: order), place: 5 * position, to: &fresh)
      }
      #expect(again == fresh && again.tokens.count == Int(again.offsets.last ?? -1))
      again.withLists { lists in
        #expect(Array(UnsafeBufferPointer(start: lists.tokens, count: again.tokenCount)) == again.tokens)
        #expect(Array(UnsafeBufferPointer(start: lists.labels, count: again.maskedCount)) == again.labels)
        #expect(Array(UnsafeBufferPointer(start: lists.maskedRows, count: again.maskedCount)) == again.maskedRows)
        #expect(Array(UnsafeBufferPointer(start: lists.places, count: count)) == again.places)
        #expect(Array(UnsafeBufferPointer(start: lists.offsets, count: count + 1)) == again.offsets)
        #expect(Array(UnsafeBufferPointer(start: lists.maskedOffsets, count: count + 1)) == again.maskedOffsets)
      }
    }
  }
}
