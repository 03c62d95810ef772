import InteractionData
import Masking
import SystemSupport
import TensorFlowFiles

/// The files that the original's generator (gen_data_fin.py) writes for its training and evaluation: NAME.train.tfrecord,
/// NAME.test.tfrecord, the pickles NAME.vocab and NAME.his; and besides these items.tsv (which item an id is) and, where users' ids are no
/// whole numbers, users.tsv (which user a number is).
///
/// The training instances are those of a run's first epoch, in its order.
package struct OriginalFiles {
  private let dataset: Dataset
  private let split: LeaveOneOut
  private let tokens: TokenIDs
  private let masking: MaskingConfiguration
  private let maximumLength: Int
  private let seed: UInt64
  private let slidingStep: Int
  /// By user.
  private let numbers: [Int64]
  private let needsUserTable: Bool
  /// By item, from 1.
  private let names: [String]

  /// Exit code 65 where an item's id is no text, which Python's pickles hold.
  package init(_ dataset: Dataset, _ configuration: RunConfiguration) throws(ProgramFailure) {
    self.dataset = dataset
    split = LeaveOneOut(dataset.sequences, holdout: configuration.holdout)
    tokens = TokenIDs(itemCount: dataset.itemCount)
    masking = configuration.maskingConfiguration
    maximumLength = configuration.maximumSequenceLength
    slidingStep = configuration.slidingStep
    seed = configuration.seed
    let numbers = UserNumbers.numbers(dataset.userIDs)
    needsUserTable = numbers == nil
    self.numbers = numbers ?? (0..<dataset.userIDs.count).map { Int64($0) }
    var names: [String] = []
    for item in 0..<dataset.itemCount {
      guard let name = String(validating: dataset.itemIDs[item], as: UTF8.self) else {
        throw ProgramFailure(
          .badData,
          "the id of item \(PrintableText.quoted(dataset.itemIDs[item])) is no UTF-8 text, which the original's vocabulary holds; rename it "
            + "in the input")
      }
      names.append("item_" + name)
    }
    self.names = names
  }

  /// Writes the folder, which is new, all or nothing. Returns how many instances there are. Exit code 64 where something stands there, 65
  /// where there is nothing to train on, 74 where the disk does not take it.
  package func write(to folder: String) throws(ProgramFailure) -> (training: Int, test: Int) {
    let windows = Windows(split, maximumLength: maximumLength, slidingStep: slidingStep)
    guard windows.count > 0 else {
      throw ProgramFailure(.badData, "\(dataset.name) has nothing to train on with holdout \(split.holdout.rawValue)")
    }
    let instances = MaskedInstances(windows: windows, tokens: tokens, configuration: masking, seed: seed)
    let tested = (0..<dataset.sequences.userCount).filter { split.heldOut(of: $0, split: .test) != nil }
    try NewFolder.write(folder) { folder throws(ProgramFailure) in
      let prefix = folder + "/" + dataset.name
      try writeTraining(instances, to: prefix + ".train.tfrecord")
      try writeTest(tested, to: prefix + ".test.tfrecord")
      try FileSystem.writeDurably(prefix + ".vocab", vocabulary(tested))
      try FileSystem.writeDurably(prefix + ".his", histories(tested))
      try FileSystem.writeDurably(folder + "/items.tsv", ItemTable.encode(ids: dataset.itemIDs, counts: dataset.itemCounts))
      if needsUserTable { try FileSystem.writeDurably(folder + "/users.tsv", UserTable.encode(dataset.userIDs)) }
    }
    return (instances.epochCount, tested.count)
  }

  // MARK: Records

  private func writeTraining(_ instances: MaskedInstances, to path: String) throws(ProgramFailure) {
    let writer = try RecordWriter(path)
    let order = instances.order(epoch: 0)
    var batch = PackedBatch()
    for position in 0..<instances.epochCount {
      let reference = instances.reference(at: position, order: order)
      batch.removeAll()
      instances.append(reference, place: 0, to: &batch)
      try writer.append(record(batch, user: instances.user(of: reference)))
    }
    try writer.finish()
  }

  private func writeTest(_ users: [Int], to path: String) throws(ProgramFailure) {
    let writer = try RecordWriter(path)
    var batch = PackedBatch()
    for user in users {
      guard let question = split.heldOut(of: user, split: .test) else { continue }
      batch.removeAll()
      batch.appendQuery(
        history: question.history, maximumLength: maximumLength, mask: tokens.mask, label: question.label, place: 0)
      try writer.append(record(batch, user: user))
    }
    try writer.finish()
  }

  /// Of the batch's one instance.
  private func record(_ batch: PackedBatch, user: Int) -> [UInt8] {
    func padded(_ values: [Int32], to count: Int) -> [Int64] {
      values.map(Int64.init) + [Int64](repeating: 0, count: max(0, count - values.count))
    }
    let room = masking.maximumPredictions
    var example = InstanceExample()
    example.info = [numbers[user]]
    example.inputIDs = padded(batch.tokens, to: maximumLength)
    example.inputMask = padded(batch.tokens.map { _ in 1 }, to: maximumLength)
    example.maskedPositions = padded(batch.maskedRows, to: room)
    example.maskedIDs = padded(batch.labels, to: room)
    example.maskedWeights = padded(batch.labels.map { _ in 1 }, to: room).map { Float($0) }
    return example.message
  }

  // MARK: Pickles

  /// An object of the original's class `FreqVocab` (vocab.py).
  private func vocabulary(_ tested: [Int]) -> [UInt8] {
    let special = [("[MASK]", 1), ("[pad]", 2), ("[NO_USE]", 3)].map { ($0, Int64(names.count + $1)) }
    let all = zip(names, 1...).map { ($0, Int64($1)) } + special
    var pickle = PickleWriter()
    func set(_ texts: [String], _ pickle: inout PickleWriter) {
      pickle.call(module: "__builtin__", name: "set") { $0.list { for text in texts { $0.add(text) } } }
    }
    pickle.object(module: "vocab", name: "FreqVocab") { pickle in
      pickle.add("counter")
      pickle.call(module: "collections", name: "Counter") {
        $0.dictionary {
          for (name, count) in zip(names, dataset.itemCounts) {
            $0.add(name)
            $0.add(count)
          }
        }
      }
      pickle.add("user_set")
      set(tested.map { "user_\(numbers[$0])" }, &pickle)
      pickle.add("user_count")
      pickle.add(Int64(tested.count))
      pickle.add("item_count")
      pickle.add(Int64(names.count))
      pickle.add("special_tokens")
      set(special.map { $0.0 }, &pickle)
      pickle.add("token_to_ids")
      pickle.dictionary {
        for (token, id) in all {
          $0.add(token)
          $0.add(id)
        }
      }
      pickle.add("id_to_tokens")
      pickle.dictionary {
        for (token, id) in all {
          $0.add(id)
          $0.add(token)
        }
      }
      pickle.add("vocab_words")
      pickle.list { for (token, _) in all { $0.add(token) } }
    }
    return pickle.finish()
  }

  /// By user a list of one list: all items, the test item too.
  private func histories(_ tested: [Int]) -> [UInt8] {
    var pickle = PickleWriter()
    pickle.dictionary {
      for user in tested {
        $0.add("user_\(numbers[user])")
        $0.list { $0.list { for item in dataset.sequences[user] { $0.add(Int64(item)) } } }
      }
    }
    return pickle.finish()
  }
}
