import BERT4RecDist

/// Whom to recommend for, in the model's item ids. What is read stays as the readers have it; a user's history is translated when it is
/// asked for.
struct UserHistories {
  private enum Source {
    case nobody
    case dataset(ids: ExternalIDs, Sequences)
    case file(Histories, translation: [Int32])
  }

  private let source: Source
  /// Interactions with items that the model does not know.
  let unknownCount: Int
  /// Items of the longest history.
  let longest: Int

  /// What ranks other than 0 have.
  init() { (source, unknownCount, longest) = (.nobody, 0, 0) }

  init(data: String, options: LoadingOptions?, model: CheckpointModel) throws(ProgramFailure) {
    let dataset = try model.translate(model.load(data, options: options, log: { printError($0) }), log: { printError($0) })
    source = .dataset(ids: dataset.userIDs, dataset.sequences)
    unknownCount = 0
    longest = (0..<dataset.sequences.userCount).reduce(0) { max($0, dataset.sequences.length(of: $1)) }
  }

  init(histories path: String, options: LoadingOptions?, catalogue: ItemIndex) throws(ProgramFailure) {
    let read = try Histories.read(path, options: options ?? LoadingOptions(), log: { printError($0) })
    let translation = read.translation(catalogue)
    source = .file(read, translation: translation)
    unknownCount = read.unknownCount(translation)
    longest = read.longest
  }

  /// Items as users of one item each, whose lists are of what is like it.
  init(items: [Int32], of model: CheckpointModel) {
    var ids = ExternalIDs()
    for item in items { ids.append(model.itemIDs[Int(item) - 1]) }
    source = .dataset(ids: ids, Sequences(offsets: (0...items.count).map(Int64.init), values: items))
    (unknownCount, longest) = (0, 1)
  }

  var count: Int {
    switch source {
    case .nobody: 0
    case .dataset(let ids, _): ids.count
    case .file(let histories, _): histories.users.count
    }
  }

  func items(of user: Int) -> [Int32] {
    switch source {
    case .nobody: []
    case .dataset(_, let sequences): Array(sequences[user])
    case .file(let histories, let translation): histories.items(of: user, translation)
    }
  }

  func id(of user: Int) -> ArraySlice<UInt8> {
    switch source {
    case .nobody: []
    case .dataset(let ids, _): ids[user]
    case .file(let histories, _): histories.users[user]
    }
  }
}
