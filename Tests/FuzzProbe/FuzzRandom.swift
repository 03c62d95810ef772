import TestSupport

/// Random numbers of one input: a pure function of seed, target and number, so that an input is repeated by its number alone.
struct FuzzRandom {
  private var generator: SeededGenerator

  init(seed: UInt64, target: String, number: Int) {
    // FNV-1a over the name.
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    for byte in target.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
    generator = SeededGenerator(seed: hash)
    for part in [seed, UInt64(number)] { generator.state = generator.next() ^ part }
  }

  mutating func next() -> UInt64 { generator.next() }

  /// 0 ..< bound; 0 where there is nothing to choose from.
  mutating func below(_ bound: Int) -> Int { generator.below(bound) }

  mutating func byte() -> UInt8 { UInt8(truncatingIfNeeded: next() >> 32) }

  mutating func chance(_ one: Int, in of: Int) -> Bool { generator.chance(one, in: of) }

  mutating func pick<C: RandomAccessCollection>(_ collection: C) -> C.Element where C.Index == Int {
    generator.pick(collection)
  }
}
