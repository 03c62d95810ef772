import BERT4RecModel
import Checkpoints
import InteractionData
import SystemSupport

/// Which rows of another model's tables a new model keeps, by the items' external ids.
///
/// An instance's items have the positions 0, 1, 2, ..., whatever `max_seq_length` is: a history of n items has its newest one at
/// position n - 1. So a row of the position table keeps its number, and every history that both models hold whole is seen by both
/// in the same positions; what a longer model adds stands at the end and starts fresh.
package struct InitialRows: Equatable {
  /// For each row of the new vocabulary the row of the old one; nil: it starts fresh.
  package let tokens: [Int?]
  /// Rows of the position table that keep their numbers; those beyond start fresh.
  package let positions: Int
  package let newPositions: Int
  package let keptItems: Int
  package let newItems: Int
  /// Items of the old model that the new data have not.
  package let goneItems: Int

  /// `old` and `new` have no id twice. Lengths are in tokens.
  package init(from old: ExternalIDs, length oldLength: Int, to new: ExternalIDs, length newLength: Int) {
    let index = ItemIndex(old)
    let items = (0..<new.count).map { index.item(new[$0]).map(Int.init) }
    let (before, now) = (TokenIDs(itemCount: old.count), TokenIDs(itemCount: new.count))
    // Behind the items the special tokens follow in one order, from [MASK] on.
    let special = (Int(now.mask)..<now.vocabularySize).map { $0 - Int(now.mask) + Int(before.mask) }
    tokens = [Int(TokenIDs.padding)] + items + special
    positions = min(oldLength, newLength)
    newPositions = newLength - positions
    keptItems = items.count { $0 != nil }
    newItems = new.count - keptItems
    goneItems = old.count - keptItems
  }
}

extension ModelState {
  /// On rank 0. Becomes a run's state at step 0: the rows of `model` that `rows` keeps and all its other parameters; what is new as
  /// `initialize` has it. Moments are zero, or, where the model was opened with them, those of the same rows.
  package func begin(from model: InitialModel, _ rows: InitialRows, seed: UInt64) throws(ProgramFailure) {
    (step, skippedSteps) = (0, 0)
    let slots = zip(layout.slots, ParameterLayout(model.configuration).slots)
    for buffer in StateBuffer.allCases {
      let target = elements(buffer)
      try overwrite(buffer) { elements in
        target[elements].update(repeating: 0)
        if buffer == .parameters { initialize(seed: seed, elements: elements) }
        for (slot, old) in slots where slot.range.overlaps(elements) {
          guard let source = model.numbers(of: old, buffer) else { continue }
          Self.copy(rows.kept(of: slot, in: layout), of: source, to: target, slot, elements)
        }
      }
    }
  }

  /// Row by row: `kept` has the old row for each new one, nil where none is copied. `elements` are whole rows.
  private static func copy(
    _ kept: [Int?], of old: UnsafeRawBufferPointer, to buffer: UnsafeMutableBufferPointer<Float>, _ slot: ParameterSlot,
    _ elements: Range<Int>
  ) {
    // In bytes: the old model's may stand at any address.
    let (start, count) = (slot.offset * MemoryLayout<Float>.stride, slot.count / slot.shape[0])
    let width = count * MemoryLayout<Float>.stride
    let target = UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(buffer)[start...])
    let own = slot.range.clamped(to: elements)
    for row in (own.lowerBound - slot.offset) / count..<(own.upperBound - slot.offset) / count {
      guard let source = kept[row] else { continue }
      UnsafeMutableRawBufferPointer(rebasing: target[(row * width)..<((row + 1) * width)])
        .copyMemory(from: UnsafeRawBufferPointer(rebasing: old[(source * width)..<((source + 1) * width)]))
    }
  }
}

extension InitialModel {
  /// Of a parameter, or its moments; nil where it was opened without them.
  fileprivate func numbers(of slot: ParameterSlot, _ buffer: StateBuffer) -> UnsafeRawBufferPointer? {
    switch buffer {
    case .parameters: parameter(slot)
    case .firstMoment: moments(slot)?.first
    case .secondMoment: moments(slot)?.second
    }
  }
}

extension InitialRows {
  /// The old row for each row of a parameter.
  fileprivate func kept(of slot: ParameterSlot, in layout: ParameterLayout) -> [Int?] {
    switch slot.offset {
    case layout.wordEmbeddings, layout.predictionBias: tokens
    case layout.positionEmbeddings: Array(0..<positions) + [Int?](repeating: nil, count: newPositions)
    default: Array(0..<slot.shape[0])
    }
  }
}
