import Communication
import InteractionData
import Masking
import SystemSupport
import TensorFlowFiles

/// Instances out of the original's TFRecord files, in the run's own ids: each is found in its user's sequence, or refused.
///
/// The files say nothing of which item an id is. `items.tsv` in their folder does (`prepare --write-tfrecord` writes one), and `users.tsv`
/// which user a number is; without it the number is the user's id, as in the original's files.
package struct RecordedInstances {
  private let dataset: Dataset
  private let split: LeaveOneOut
  private let maximumLength: Int
  private let log: (String) -> Void

  package init(dataset: Dataset, split: LeaveOneOut, maximumLength: Int, log: @escaping (String) -> Void) {
    (self.dataset, self.split, self.maximumLength, self.log) = (dataset, split, maximumLength, log)
  }

  /// Reads all files of some patterns, with commas between as the original has them; in this order. Exit code 66 where a file is not
  /// there, 65 where something is wrong with it, 64 where its instances are not of the run's data or longer than `max_seq_length`.
  package func read(_ patterns: String) throws(ProgramFailure) -> StoredInstances.Builder {
    let paths = try InputPaths.matching(patterns.split(separator: ",").map(String.init))
    guard let first = paths.first else { throw ProgramFailure(.usage, "--tfrecord (tfrecord) names no file") }
    let ids = try RecordedIDs(folder: FileSystem.parent(of: first), dataset, first)
    var builder = StoredInstances.Builder()
    for path in paths { try read(path, ids, into: &builder) }
    if builder.count == 0 { throw ProgramFailure(.badData, "\(patterns): the files have no record") }
    log(
      "\(patterns): \(builder.count) instances of \(paths.count) file(s), with their own windows, masks and order; not used: "
        + "masked_lm_prob, max_predictions_per_seq, mask_prob, dupe_factor, prop_sliding_window, masking")
    return builder
  }

  private func read(_ path: String, _ ids: RecordedIDs, into builder: inout StoredInstances.Builder) throws(ProgramFailure) {
    var records = try RecordReader(path)
    var example = InstanceExample()
    var instance = Instance()
    while let record = try records.next() {
      if let problem = example.read(record) { throw ProgramFailure(.badData, "\(records.place): \(problem)") }
      if let problem = instance.read(example, ids) { throw ProgramFailure(.badData, "\(records.place): \(problem)") }
      if instance.tokens.count > maximumLength {
        throw ProgramFailure(
          .usage,
          "\(records.place): \(instance.tokens.count) tokens, but max_seq_length is \(maximumLength): give that of the files "
            + "(--set max_seq_length=\(example.inputIDs.count)).")
      }
      guard isTrainedOn(instance.items, instance.user) else {
        throw ProgramFailure(
          .badData,
          "\(records.place): its \(instance.items.count) items are no part of what user "
            + "\(PrintableText.quoted(dataset.userIDs[instance.user])) trains on in \(dataset.name), with holdout \(split.holdout.rawValue): "
            + "the files are of other data, or have a held-out item (the original's are for --set holdout=test)")
      }
      builder.append(user: instance.user, tokens: instance.tokens, positions: instance.positions, labels: instance.labels)
      if builder.count.isMultiple(of: 1024) { Liveness.tick() }
    }
  }

  /// Whether some items stand side by side in what a user trains on.
  private func isTrainedOn(_ items: [Int32], _ user: Int) -> Bool {
    let all = split.trainingItems(of: user)
    guard items.count <= all.count else { return false }
    return items.withUnsafeBufferPointer { items in
      (0...(all.count - items.count)).contains { start in
        var place = 0
        while place < items.count, all[start + place] == items[place] { place += 1 }
        return place == items.count
      }
    }
  }

  /// One record, checked, in the run's ids. Used again and again, so that a record allocates nothing.
  private struct Instance {
    var user = 0
    /// With `[MASK]` where the file has it.
    var tokens: [Int32] = []
    var positions: [Int32] = []
    var labels: [Int32] = []
    /// What stood there before the masks.
    var items: [Int32] = []

    /// Returns what is wrong where something is.
    mutating func read(_ example: InstanceExample, _ ids: RecordedIDs) -> String? {
      guard example.info.count == 1, let user = ids.user(example.info[0]) else {
        return "\"info\" is \(example.info.prefix(3)), which is no user of the data"
      }
      self.user = user
      let length = example.inputMask.prefix { $0 == 1 }.count
      guard length > 0, example.inputMask.count == example.inputIDs.count, example.inputMask[length...].allSatisfy({ $0 == 0 }),
        example.inputIDs[length...].allSatisfy({ $0 == 0 })
      else { return "\"input_mask\" is not 1 for each token of \"input_ids\" and 0 for the padding behind them" }
      let count = example.maskedWeights.prefix { $0 == 1 }.count
      guard count > 0, example.maskedWeights.count == example.maskedIDs.count, example.maskedIDs.count == example.maskedPositions.count,
        example.maskedWeights[count...].allSatisfy({ $0 == 0 })
      else { return "\"masked_lm_weights\" is not 1 for each masked position and 0 for the padding behind them" }

      for list in [\Instance.tokens, \.positions, \.labels, \.items] { self[keyPath: list].removeAll(keepingCapacity: true) }
      for id in example.inputIDs[..<length] {
        guard let token = ids.token(id) else { return "token \(id) of \"input_ids\" is no item and not [MASK]" }
        tokens.append(token)
      }
      items += tokens
      var previous: Int64 = -1
      for (position, id) in zip(example.maskedPositions[..<count], example.maskedIDs[..<count]) {
        guard position > previous, position < length else {
          return "\"masked_lm_positions\" do not ascend from 0 to \(length - 1)"
        }
        previous = position
        guard let label = ids.item(id) else { return "label \(id) of \"masked_lm_ids\" is no item" }
        positions.append(Int32(position))
        labels.append(label)
        items[Int(position)] = label
      }
      return items.contains(ids.mask) ? "a [MASK] in \"input_ids\" that is no masked position" : nil
    }
  }
}

/// Whose and what the numbers of the original's files are.
private struct RecordedIDs {
  /// The run's token of each of the files' items; the first is item 1.
  private let items: [Int32]
  /// The run's user of each number.
  private let users: [Int64: Int]
  /// The run's.
  let mask: Int32

  init(folder: String, _ dataset: Dataset, _ path: String) throws(ProgramFailure) {
    let itemsPath = folder + "/items.tsv"
    guard FileSystem.kind(itemsPath) != nil else {
      throw ProgramFailure(
        .unreadable,
        "\(path) has no items.tsv in its folder: nothing says which item an id is. `prepare --write-tfrecord` writes one; for files of the "
          + "original, docs/original-files.md shows how to make it of their .vocab file.")
    }
    let table = try MappedFile(itemsPath)
    let known = try ItemTable.decode(table.bytes, path: itemsPath).ids
    let index = ItemIndex(dataset.itemIDs)
    var items: [Int32] = []
    for place in 0..<known.count {
      guard let item = index.item(known[place]) else {
        throw ProgramFailure(
          .badData,
          "\(itemsPath):\(place + 2): item \(PrintableText.quoted(known[place])) is not in \(dataset.name): give the data that the files "
            + "were made of")
      }
      items.append(item)
    }
    self.items = items
    mask = TokenIDs(itemCount: dataset.itemCount).mask

    let usersPath = folder + "/users.tsv"
    var users: [Int64: Int] = [:]
    if FileSystem.kind(usersPath) != nil {
      let file = try MappedFile(usersPath)
      let numbered = ItemIndex(try UserTable.decode(file.bytes, path: usersPath, advice: ""))
      for user in 0..<dataset.userIDs.count {
        if let place = numbered.item(dataset.userIDs[user]) { users[Int64(place) - 1] = user }
      }
    } else {
      for user in 0..<dataset.userIDs.count {
        if let number = UserNumbers.number(dataset.userIDs[user]) { users[number] = user }
      }
    }
    self.users = users
  }

  func user(_ number: Int64) -> Int? { users[number] }

  func item(_ id: Int64) -> Int32? { id >= 1 && id <= items.count ? items[Int(id) - 1] : nil }

  func token(_ id: Int64) -> Int32? { id == items.count + 1 ? mask : item(id) }
}

extension StoredInstances {
  /// SHA-256 (hex) of all of them, for trainer.json.
  var digest: String { sha256Hex(bytes) }

  /// Rank 0's instances on every rank, in memory that the ranks of a host share; the others pass nil.
  static func shared(
    _ own: Builder?, _ communicator: any Communicator, log: (String) -> Void
  ) throws(CollectiveFailure) -> StoredInstances {
    let count = try communicator.broadcast(own?.count)
    let copy = try communicator.copyToHosts(byteCount: own?.byteCount ?? 0, "the instances", log: log) { own?.write(to: $0) }
    return StoredInstances(count: count, bytes: copy.bytes, owner: copy)
  }
}
