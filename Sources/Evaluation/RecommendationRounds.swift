import Collectives
import SystemSupport

extension Recommender {
  /// Histories that a rank gets in a round; fewer where lists are long.
  private static let historiesPerRound = 1024
  private static let itemsPerRound = 1 << 20

  /// Collective. Recommends for the histories that rank 0 has, on all ranks and in order, some at a time: the lists are the same on
  /// any number of ranks. Throws what `recommend(histories:topK:keepSeen:)` throws, on every rank the same.
  ///
  /// - Parameters:
  ///   - count: of the histories; that of rank 0 counts, as all arguments below.
  ///   - history: gives one.
  ///   - write: takes the next list, on rank 0; false ends it, since nobody wants more.
  public func recommend(
    count: Int, topK k: Int, keepSeen: Bool, on communicator: any Communicator, history: (Int) -> [Int32],
    write: (Int, RecommendationList) throws(Failure) -> Bool
  ) throws(Failure) {
    try Activity.during("recommendations for \(count) histories", of: count) { () throws(Failure) in
      try recommendInRounds(count: count, topK: k, keepSeen: keepSeen, on: communicator, history: history, write: write)
    }
  }

  private func recommendInRounds(
    count: Int, topK k: Int, keepSeen: Bool, on communicator: any Communicator, history: (Int) -> [Int32],
    write: (Int, RecommendationList) throws(Failure) -> Bool
  ) throws(Failure) {
    let size = communicator.size
    let listLength = max(1, min(k, tokens.itemCount))
    let perRank = max(1, min(Self.historiesPerRound, Self.itemsPerRound / listLength))
    var (start, isWanted) = (0, true)
    while true {
      let now = try communicator.broadcastArray([isWanted ? min(perRank * size, count - start) : 0])[0]
      if now == 0 { return }
      var messages = [[Int32]](repeating: [], count: size)
      if communicator.rank == 0 {
        for index in 0..<now { HistoryMessage.append(history(start + index), to: &messages[index * size / now]) }
      }
      let own = HistoryMessage.histories(try communicator.scatterArrays(messages))
      let lists = try communicator.onEveryRank { () throws(Failure) in
        try recommend(histories: own, topK: k, keepSeen: keepSeen)
      }
      let gathered = try communicator.gather(ListMessage.encode(lists))
      try communicator.onRankZero { () throws(Failure) in
        var index = start
        for list in gathered.lazy.flatMap(ListMessage.lists) where isWanted {
          isWanted = try write(index, list)
          index += 1
        }
      }
      start += now
      Activity.advance(by: now)
    }
  }
}

/// Histories as rank 0 sends them: each its length and its items.
private enum HistoryMessage {
  static func append(_ history: [Int32], to message: inout [Int32]) {
    message.append(Int32(history.count))
    message += history
  }

  static func histories(_ message: [Int32]) -> [[Int32]] {
    var (histories, place): ([[Int32]], Int) = ([], 0)
    while place < message.count {
      let end = place + 1 + Int(message[place])
      histories.append(Array(message[(place + 1)..<end]))
      place = end
    }
    return histories
  }
}

/// Lists as ranks send them to rank 0: words of 64 bits in the machine's order; each list its length and whether it is a fallback, then
/// item and score of each place.
private enum ListMessage {
  static func encode(_ lists: [RecommendationList]) -> [UInt8] {
    var words: [UInt64] = []
    words.reserveCapacity(lists.reduce(0) { $0 + 2 + 2 * $1.items.count })
    for list in lists {
      words += [UInt64(list.items.count), list.isFallback ? 1 : 0]
      for item in list.items { words += [UInt64(item.item), item.score.bitPattern] }
    }
    return words.withUnsafeBytes { Array($0) }
  }

  static func lists(_ bytes: [UInt8]) -> [RecommendationList] {
    bytes.withUnsafeBytes { bytes in
      func word(_ place: Int) -> UInt64 { bytes.loadUnaligned(fromByteOffset: 8 * place, as: UInt64.self) }
      var (lists, place): ([RecommendationList], Int) = ([], 0)
      while 8 * place < bytes.count {
        let count = Int(word(place))
        let items = (0..<count).map {
          ScoredItem(item: Int32(word(place + 2 + 2 * $0)), score: Double(bitPattern: word(place + 3 + 2 * $0)))
        }
        lists.append(RecommendationList(items: items, isFallback: word(place + 1) == 1))
        place += 2 + 2 * count
      }
      return lists
    }
  }
}
