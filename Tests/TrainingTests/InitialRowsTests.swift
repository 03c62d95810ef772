import BERT4RecModel
import Checkpoints
import Foundation
import InteractionData
import TestSupport
import Testing
import Training

/// Which rows of another model a run begins with, and with which values.
@Suite struct InitialRowsTests {
  private static func ids(_ names: [String]) -> ExternalIDs { ExternalIDs(names.map { Array($0.utf8) }) }

  @Test func tokensFollowTheirExternalIDs() {
    let rows = InitialRows(
      from: Self.ids(["a", "b", "c", "gone", "d"]), length: 7, to: Self.ids(["d", "new", "b", "a", "", "c"]), length: 7)
    // Padding; d, new, b, a, the empty id, c; [MASK], [pad], [NO_USE], which stand behind 5 items there and 6 here.
    #expect(rows.tokens == [0, 5, nil, 2, 1, nil, 3, 6, 7, 8])
    #expect(rows.keptItems == 4 && rows.newItems == 2 && rows.goneItems == 1)
    #expect(rows.positions == 7 && rows.newPositions == 0)
  }

  @Test func positionsKeepTheirNumbers() {
    let items = Self.ids(["a"])
    let longer = InitialRows(from: items, length: 3, to: items, length: 7)
    #expect(longer.positions == 3 && longer.newPositions == 4)
    let shorter = InitialRows(from: items, length: 7, to: items, length: 3)
    #expect(shorter.positions == 3 && shorter.newPositions == 0)
  }

  // MARK: Values

  private static let oldItems = ["a", "b", "c", "gone"]
  private static let newItems = ["c", "new", "a", "b", "other"]

  private static func model(items: Int, length: Int) -> ModelConfiguration {
    ModelConfiguration(
      vocabularySize: items + 4, hiddenSize: 6, layerCount: 2, headCount: 3, intermediateSize: 5, maximumSequenceLength: length,
      activation: .tanh, initializerRange: 0.07)
  }

  /// A checkpoint of step 41 whose every number differs from every other: parameters are positive, moments below zero.
  private static func withOldModel(moments: Bool, _ body: (InitialModel) throws -> Void) throws {
    let temporary = try TemporaryFolder()
    defer { withExtendedLifetime(temporary) {} }
    let folder = temporary.path
    let configuration = model(items: oldItems.count, length: 4)
    let count = ParameterLayout(configuration).count
    let values = [(1, 0), (-1, 0), (-1, count)].map { factor, shift in (0..<count).map { Float(factor * ($0 + 1 + shift)) } }
    let writer = CheckpointWriter(
      run: RunFolder(folder), configuration: configuration, itemIDs: ids(oldItems), itemCounts: [4, 3, 2, 1], keepCheckpoints: 1)
    let state = TrainerState(
      step: 41, seed: 1, dataName: "old", dataFingerprint: "f00d", numericsVersion: 2, programVersion: "0.1.0", configuration: [:])
    try values[0].withUnsafeBufferPointer { parameters in
      try values[1].withUnsafeBufferPointer { first in
        try values[2].withUnsafeBufferPointer { second in
          _ = try writer.write(state: state, parameters: parameters, firstMoment: first, secondMoment: second)
        }
      }
    }
    try body(try InitialModel.open(folder, withMoments: moments) { Issue.record("\($0)") })
  }

  /// Rows of 6 numbers of a buffer at a slot's offset.
  private func rows(_ buffer: UnsafeMutableBufferPointer<Float>, at offset: Int, count: Int, width: Int = 6) -> [[Float]] {
    (0..<count).map { row in (0..<width).map { buffer[offset + row * width + $0] } }
  }

  private func floats(_ bytes: UnsafeRawBufferPointer) -> [Float] {
    stride(from: 0, to: bytes.count, by: 4).map { bytes.loadUnaligned(fromByteOffset: $0, as: Float.self) }
  }

  @Test(arguments: [false, true], [2, 4, 9]) func keptRowsAndFreshOnes(moments: Bool, length: Int) throws {
    try Self.withOldModel(moments: moments) { old in
      #expect(old.step == 41)
      let configuration = Self.model(items: Self.newItems.count, length: length)
      let (fresh, begun) = (try ModelState(configuration), try ModelState(configuration))
      fresh.initialize(seed: 77)
      // What was there before must not shine through.
      for buffer in [begun.parameters, begun.firstMoment, begun.secondMoment] { buffer.update(repeating: .nan) }
      let mapping = InitialRows(from: old.itemIDs, length: 4, to: Self.ids(Self.newItems), length: length)
      try begun.begin(from: old, mapping, seed: 77)
      #expect(begun.step == 0 && begun.skippedSteps == 0)

      let (layout, oldLayout) = (begun.layout, ParameterLayout(old.configuration))
      // c, new, a, b, other and the special ones, by the old row's number.
      let kept: [Int?] = [0, 3, nil, 1, 2, nil, 5, 6, 7]
      let positions: [Int?] = (0..<length).map { $0 < 4 ? $0 : nil }
      for (slot, oldSlot) in zip(layout.slots, oldLayout.slots) {
        let sources: [Int?]
        switch slot.name {
        case "bert.embeddings.word_embeddings.weight", "cls.predictions.bias": sources = kept
        case "bert.embeddings.position_embeddings.weight": sources = positions
        default: sources = (0..<slot.shape[0]).map { $0 }
        }
        let width = slot.count / slot.shape[0]
        let oldMoments = old.moments(oldSlot)
        #expect((oldMoments != nil) == moments)
        let oldRows = floats(old.parameter(oldSlot))
        let freshRows = rows(fresh.parameters, at: slot.offset, count: slot.shape[0], width: width)
        func expected(_ values: [Float]?, or fresh: (Int) -> [Float]) -> [[Float]] {
          sources.enumerated().map { row, source in
            guard let source, let values else { return fresh(row) }
            return Array(values[(source * width)..<((source + 1) * width)])
          }
        }
        let zeros = [Float](repeating: 0, count: width)
        #expect(
          rows(begun.parameters, at: slot.offset, count: slot.shape[0], width: width) == expected(oldRows) { freshRows[$0] },
          "\(slot.name)")
        #expect(
          rows(begun.firstMoment, at: slot.offset, count: slot.shape[0], width: width)
            == expected(oldMoments.map { floats($0.first) }) { _ in zeros }, "\(slot.name)")
        #expect(
          rows(begun.secondMoment, at: slot.offset, count: slot.shape[0], width: width)
            == expected(oldMoments.map { floats($0.second) }) { _ in zeros }, "\(slot.name)")
      }
      // By hand: row 1 is c, which was row 3 of a table 6 wide whose numbers are 1, 2, 3, ...
      #expect(begun.parameters[6] == 19)
    }
  }
}
