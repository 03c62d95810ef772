import BERT4RecDist

/// The items of `--candidates`, in the model's item ids.
struct CandidateChoice {
  private enum Source {
    case everything
    case list(CandidateItems)
    case lists(Histories, users: ItemIndex, translation: [Int32])
  }

  private let source: Source

  /// The whole catalogue.
  init() { source = .everything }

  /// Says on standard error how the file is read, and how many of its items the model does not know.
  init(_ path: String, options: LoadingOptions?, catalogue: ItemIndex) throws(ProgramFailure) {
    let read = try CandidateLists.read(path, catalogue: catalogue, options: options ?? LoadingOptions(), log: { printError($0) })
    let (unknown, total): (Int, Int)
    switch read {
    case .forAll(let ids):
      let known = (0..<ids.count).compactMap { catalogue.item(ids[$0]) }
      source = .list(CandidateItems(known))
      (unknown, total) = (ids.count - known.count, ids.count)
    case .perUser(let lists):
      let translation = lists.translation(catalogue)
      source = .lists(lists, users: ItemIndex(lists.users), translation: translation)
      (unknown, total) = (lists.unknownCount(translation), (0..<lists.users.count).reduce(0) { $0 + lists.itemCount(of: $1) })
    }
    if unknown == total {
      throw ProgramFailure(
        .badData, "\(path): none of its \(total) candidates is an item that the model knows; give the ids that it was trained on")
    }
    if unknown > 0 { printError("\(unknown) of \(total) candidates in \(path) are items that the model does not know: they are skipped") }
  }

  /// The one list for everybody, where there is one.
  var shared: CandidateItems? {
    guard case .list(let items) = source else { return nil }
    return items
  }

  var isPerUser: Bool {
    guard case .lists = source else { return false }
    return true
  }

  /// A user's own list, empty where the file has none for this user; nil where the choice is the same for everybody.
  func own(of user: ArraySlice<UInt8>) -> CandidateItems? {
    guard case .lists(let lists, let users, let translation) = source else { return nil }
    return CandidateItems(users.item(user).map { lists.items(of: Int($0) - 1, translation) } ?? [])
  }

  /// Says who has no candidates; refuses lists of other users alone.
  func check(_ users: UserHistories, path: String) throws(ProgramFailure) {
    guard case .lists(let lists, let index, _) = source, users.count > 0 else { return }
    let without = (0..<users.count).count { index.item(users.id(of: $0)) == nil }
    if without == users.count {
      throw ProgramFailure(
        .badData, "\(path): none of its \(lists.users.count) users is one of the \(users.count) asked for; give lists with the same ids")
    }
    if without > 0 { printError("\(without) of \(users.count) users have no candidates in \(path): nothing is recommended to them") }
  }
}
