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
    Dataset(
      name: name,
      histories: (0..<userCount).map { user in
        var random = KeyedStream(seed: seed, .demonstrationData, UInt64(user), 0)
        let length = 8 + random.next(below: 16)
        var (ring, place) = (random.next(below: ringCount), random.next(below: ringSize))
        let items = (0..<length).map { _ in
          let item = "ring\(ring)-item\(place)"
          if random.next(below: 100) < 90 {
            place = (place + 1) % ringSize
          } else {
            (ring, place) = (random.next(below: ringCount), random.next(below: ringSize))
          }
          return item
        }
        return ("user\(user)", items)
      })
  }
}
