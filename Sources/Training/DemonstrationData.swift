import InteractionData
import Masking

/// The built-in data set: 400 users over 120 items that lie on 5 rings of 24. A user walks along a ring, mostly to the next item,
/// and sometimes changes rings. What comes next follows from what came before, and all items are equally popular: a
/// bidirectional model learns it in seconds, popularity cannot.
package enum DemonstrationData {
  /// What stands for it where a path of data is expected.
  package static let path = "builtin:demo"

  static let name = "demo"
  static let userCount = 400
  static let ringCount = 5
  static let ringSize = 24
  static let seed: UInt64 = 2019

  package static func make() -> Dataset {
    var raw: [[Int]] = []
    for user in 0..<userCount {
      var random = KeyedStream(seed: seed, .demonstrationData, UInt64(user), 0)
      let length = 8 + random.next(below: 16)
      var (ring, place) = (random.next(below: ringCount), random.next(below: ringSize))
      var items: [Int] = []
      while items.count < length {
        items.append(ring * ringSize + place)
        let choice = random.next(below: 100)
        if choice < 90 {
          place = (place + 1) % ringSize
        } else {
          (ring, place) = (random.next(below: ringCount), random.next(below: ringSize))
        }
      }
      raw.append(items)
    }
    return dataset(raw)
  }

  /// Vocabulary by descending count, ties by first appearance, as every data set has it.
  private static func dataset(_ raw: [[Int]]) -> Dataset {
    var (counts, order) = ([Int: Int64](), [Int]())
    for item in raw.joined() {
      if counts[item] == nil { order.append(item) }
      counts[item, default: 0] += 1
    }
    let ranked = order.enumerated().sorted {
      let (a, b) = (counts[$0.element] ?? 0, counts[$1.element] ?? 0)
      return a == b ? $0.offset < $1.offset : a > b
    }.map(\.element)
    let ids = Dictionary(uniqueKeysWithValues: ranked.enumerated().map { ($0.element, Int32($0.offset + 1)) })
    let sequences = raw.map { $0.map { ids[$0] ?? 0 } }
    return Dataset(
      name: name,
      itemIDs: ExternalIDs(ranked.map { Array("ring\($0 / ringSize)-item\($0 % ringSize)".utf8) }),
      itemCounts: ranked.map { counts[$0] ?? 0 },
      userIDs: ExternalIDs((0..<userCount).map { Array("user\($0)".utf8) }),
      sequences: Sequences(sequences))
  }
}
