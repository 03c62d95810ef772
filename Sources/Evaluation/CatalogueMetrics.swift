import InteractionData
import SystemSupport

/// How often items stand in users' histories.
package struct ItemPopularity: Sendable {
  /// Interactions with item `i` at `i - 1`.
  package let interactions: [Int64]
  /// Users with item `i` in their history at `i - 1`.
  package let users: [Int64]
  /// Users with a history.
  package let userCount: Int

  /// Items of the sequences are 1 ... `itemCount`.
  package init(_ sequences: Sequences, itemCount: Int) {
    var interactions = [Int64](repeating: 0, count: itemCount)
    var users = interactions
    var seen = ItemMarks(count: itemCount + 1)
    var userCount = 0
    for user in 0..<sequences.userCount {
      seen.removeAll()
      for item in sequences[user] {
        interactions[Int(item) - 1] += 1
        if seen.insert(Int(item)) { users[Int(item) - 1] += 1 }
      }
      if sequences.length(of: user) > 0 { userCount += 1 }
    }
    (self.interactions, self.users, self.userCount) = (interactions, users, userCount)
  }

  package var itemCount: Int { interactions.count }

  /// Whether an item is one of the catalogue; those that others recommend need not be.
  package func contains(_ item: Int32) -> Bool { (1...max(1, itemCount)).contains(Int(item)) && itemCount > 0 }

  /// 0 for an item that is not of the catalogue.
  func interactions(of item: Int32) -> Double { contains(item) ? Double(interactions[Int(item) - 1]) : 0 }

  /// -log2 of the part of the users that had the item, in bits (Zhou et al., PNAS 2010: self-information). An item that nobody had
  /// counts as if one user had had it, as in RecTools' `MeanInvUserFreq`.
  func selfInformation(of item: Int32) -> Double {
    let had = contains(item) ? max(1, users[Int(item) - 1]) : 1
    return PortableMath.log2(Double(max(1, userCount)) / Double(had))
  }
}

/// What recommended lists look like at each cut-off, whatever the targets. Means are over a list's first k items, then over the
/// users that have a list; coverage is the part of the catalogue that stands in anybody's first k.
struct CatalogueSums {
  static let names = ["coverage", "mean_popularity", "novelty"]

  private let cutoffs: [Int]
  private let popularity: ItemPopularity
  private let information: [Double]  // (items)
  /// The best place that anybody's list has an item at, from 1; 0 for none.
  private var bestPlaces: [Int]
  private var popularitySums: [Double]
  private var noveltySums: [Double]
  private var listCount = 0

  init(cutoffs: [Int], popularity: ItemPopularity) {
    self.cutoffs = cutoffs
    self.popularity = popularity
    information = (0..<popularity.itemCount).map { popularity.selfInformation(of: Int32($0 + 1)) }
    bestPlaces = [Int](repeating: 0, count: popularity.itemCount)
    popularitySums = [Double](repeating: 0, count: cutoffs.count)
    noveltySums = popularitySums
  }

  mutating func add(list: [Int32]) {
    guard !list.isEmpty else { return }
    listCount += 1
    var (place, counts, bits) = (0, 0.0, 0.0)
    for (index, cutoff) in cutoffs.enumerated() {
      while place < min(cutoff, list.count) {
        let item = list[place]
        place += 1
        counts += popularity.interactions(of: item)
        guard popularity.contains(item) else {
          bits += popularity.selfInformation(of: item)
          continue
        }
        bits += information[Int(item) - 1]
        let best = bestPlaces[Int(item) - 1]
        if best == 0 || place < best { bestPlaces[Int(item) - 1] = place }
      }
      popularitySums[index] += counts / Double(place)
      noveltySums[index] += bits / Double(place)
    }
  }

  func metrics(prefix: String) -> [(key: String, value: Double)] {
    let covered = cutoffs.map { cutoff in
      Double(bestPlaces.count { $0 > 0 && $0 <= cutoff }) / Double(max(1, popularity.itemCount))
    }
    let means = [popularitySums, noveltySums].map { sums in sums.map { listCount == 0 ? 0 : $0 / Double(listCount) } }
    return zip(Self.names, [covered] + means).flatMap { name, values in
      zip(cutoffs, values).map { (prefix + EvaluationProtocol.full.key("\(name)@\($0)"), $1) }
    }
  }
}
