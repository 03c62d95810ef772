/// The same draws from the same seed: SplitMix64 (Steele, Lea and Flood 2014).
package struct SeededGenerator: RandomNumberGenerator {
  package var state: UInt64

  package init(seed: UInt64) { state = seed }

  package mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  /// 0 ..< bound; 0 where there is nothing to choose from.
  package mutating func below(_ bound: Int) -> Int { bound <= 1 ? 0 : Int(next() % UInt64(bound)) }

  package mutating func chance(_ one: Int, in of: Int) -> Bool { below(of) < one }

  package mutating func pick<C: RandomAccessCollection>(_ collection: C) -> C.Element where C.Index == Int {
    collection[collection.startIndex + below(collection.count)]
  }

  package mutating func shuffled<T>(_ values: [T]) -> [T] {
    var values = values
    for place in values.indices.dropFirst() { values.swapAt(place, below(place + 1)) }
    return values
  }
}
