extension Dataset {
  /// A data set of histories that a program has in memory: users with their items, oldest first, under whatever names they have
  /// elsewhere. Users stay in this order, each name once; items are numbered by descending count, ties by first appearance, as the
  /// readers of files do it, so that the same interactions have the same fingerprint wherever they came from.
  public init(name: String, histories: [(user: String, items: [String])]) {
    var numbers: [String: Int] = [:]  // by first appearance, from 0
    var names: [String] = []
    var counts: [Int64] = []
    let sequences = histories.map { history in
      history.items.map { item in
        let number = numbers[item] ?? names.count
        if number == names.count {
          numbers[item] = number
          names.append(item)
          counts.append(0)
        }
        counts[number] += 1
        return number
      }
    }
    let ranked = names.indices.sorted { counts[$0] == counts[$1] ? $0 < $1 : counts[$0] > counts[$1] }
    var places = [Int32](repeating: 0, count: names.count)
    for (place, number) in ranked.enumerated() { places[number] = Int32(place + 1) }
    self.init(
      name: name, itemIDs: ExternalIDs(ranked.map { Array(names[$0].utf8) }), itemCounts: ranked.map { counts[$0] },
      userIDs: ExternalIDs(histories.map { Array($0.user.utf8) }),
      sequences: Sequences(sequences.map { $0.map { places[$0] } }))
  }
}
