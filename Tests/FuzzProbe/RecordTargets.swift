import InteractionData
import Masking
import SystemSupport
import TensorFlowFiles
import Training

/// The original's files of instances: their framing, their messages, and what a run takes of them.
enum RecordTargets {
  private static let words = [
    "info", "input_ids", "input_mask", "masked_lm_positions", "masked_lm_ids", "masked_lm_weights", "\u{0A}\u{0B}", "\u{1A}\u{07}",
    "\u{12}\u{05}", "\u{FF}\u{01}",
  ]

  static func all(in folder: String) throws -> [FuzzTarget] {
    let path = folder + "/pairs.txt"
    let rows = (1...5).flatMap { user in (0..<7).map { "\(user) \((user * 3 + $0 * 5) % 11 + 10)\n" } }
    put(rows.joined(), path)
    var settings = RunSettings()
    (settings.data, settings.holdout, settings.maximumSequenceLength, settings.duplicationFactor) = (path, .test, 5, 1)
    let configuration = try RunConfiguration(settings)
    let dataset = try DatasetLoader.load([path], options: LoadingOptions(), log: { _ in }).dataset
    try FileSystem.removeRecursively(folder + "/records")
    _ = try OriginalFiles(dataset, configuration).write(to: folder + "/records")
    let file = folder + "/records/\(dataset.name).train.tfrecord"
    let whole = try FileSystem.read(file)
    var reader = try RecordReader(file)
    var messages: [[UInt8]] = []
    while let record = try reader.next() { messages.append(Array(record)) }

    let split = LeaveOneOut(dataset.sequences, holdout: .test)
    return [
      FuzzTarget("tfrecord", corpus: [Array(whole.prefix(400)), Repair.records([[], [1, 2, 3]])], words: words, places: [file]) {
        input, random in
        put(random.chance(3, in: 4) ? Repair.recordSums(input) : input, file)
        var (records, count) = (try RecordReader(file), 0)
        while let record = try records.next() {
          count += record.count + 16
          try require(count <= input.count, "records stand in the file")
        }
        try require(count == input.count, "records fill the file")
      },
      FuzzTarget("tfrecord-example", corpus: messages, words: words, places: ["message"]) { input, _ in
        var example = InstanceExample()
        if let problem = input.withUnsafeBytes({ example.read($0) }) { throw ProgramFailure(.badData, "message: \(problem)") }
        var again = InstanceExample()
        try require(example.message.withUnsafeBytes { again.read($0) } == nil, "what was read is written as it can be read")
        try require(again.message == example.message, "what was read is written again")
      },
      FuzzTarget("tfrecord-instances", corpus: messages, words: words, codes: [.badData, .usage], places: [file]) { input, _ in
        put(Repair.records([messages[0], input]), file)
        let builder = try RecordedInstances(dataset: dataset, split: split, maximumLength: 5, log: { _ in }).read(file)
        try require(builder.count == 2, "each record is an instance")
        let memory = try AlignedMemory(byteCount: builder.byteCount, for: "the instances")
        builder.write(to: UnsafeMutableRawBufferPointer(start: memory.base, count: builder.byteCount))
        let stored = StoredInstances(
          count: builder.count, bytes: UnsafeRawBufferPointer(start: memory.base, count: builder.byteCount), owner: memory)
        let instances = MaskedInstances(
          windows: Windows(split, maximumLength: 5, slidingStep: 2), tokens: TokenIDs(itemCount: dataset.itemCount),
          configuration: MaskingConfiguration(), seed: 1, stored: stored)
        let order = instances.order(epoch: 0)
        var batch = PackedBatch()
        for position in 0..<2 {
          let reference = instances.reference(at: position, order: order)
          instances.append(reference, place: position, to: &batch)
          try require(reference.maskedCount >= 1 && reference.tokenCount <= 5, "an instance has tokens and labels")
        }
        let labels = batch.labels.allSatisfy { $0 >= 1 && $0 <= dataset.itemCount }
        try require(labels && batch.tokens.allSatisfy { $0 >= 1 && $0 <= dataset.itemCount + 1 }, "tokens are those of the model")
      },
    ]
  }
}
