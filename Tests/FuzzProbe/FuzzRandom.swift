/// Random numbers of one input: a pure function of seed, target and number, so that an input is repeated by its number
/// alone (splitmix64; Steele, Lea and Flood 2014).
struct FuzzRandom {
  private var state: UInt64

  init(seed: UInt64, target: String, number: Int) {
    // FNV-1a over the name.
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    for byte in target.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
    state = hash
    state = next() ^ seed
    state = next() ^ UInt64(number)
  }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var value = state
    value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
    value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
    return value ^ (value >> 31)
  }

  /// 0 ..< bound; 0 where there is nothing to choose from.
  mutating func below(_ bound: Int) -> Int { bound <= 1 ? 0 : Int(next() % UInt64(bound)) }

  mutating func byte() -> UInt8 { UInt8(truncatingIfNeeded: next() >> 32) }

  mutating func chance(_ one: Int, in of: Int) -> Bool { below(of) < one }

  mutating func pick<C: RandomAccessCollection>(_ collection: C) -> C.Element where C.Index == Int {
    collection[collection.startIndex + below(collection.count)]
  }
}
