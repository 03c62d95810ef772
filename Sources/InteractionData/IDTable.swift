#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// Gives each distinct byte string a number, 0, 1, 2, ... in order of first appearance.
///
/// Open addressing with linear probing over one arena of bytes: an id costs its bytes, an offset and two slots at most.
struct IDTable: ~Copyable {
  /// Hash in the high half, number + 1 in the low half; 0 is free.
  private var slots: UnsafeMutablePointer<UInt64>
  private var mask: Int
  private var arena = GrowableStorage<UInt8>(capacity: 1 << 12)
  private var offsets = GrowableStorage<Int>(capacity: 1 << 8)
  private(set) var count = 0

  init() {
    mask = (1 << 8) - 1
    slots = Self.emptySlots(mask + 1)
    offsets.append(0)
  }

  deinit { slots.deallocate() }

  private static func emptySlots(_ count: Int) -> UnsafeMutablePointer<UInt64> {
    let slots = UnsafeMutablePointer<UInt64>.allocate(capacity: count)
    slots.initialize(repeating: 0, count: count)
    return slots
  }

  subscript(number: Int32) -> UnsafeRawBufferPointer {
    let (start, end) = (offsets.base[Int(number)], offsets.base[Int(number) + 1])
    return UnsafeRawBufferPointer(start: arena.base + start, count: end - start)
  }

  @inline(__always)
  func equals(_ number: Int32, _ id: UnsafeRawBufferPointer) -> Bool {
    let start = offsets.base[Int(number)]
    guard offsets.base[Int(number) + 1] - start == id.count else { return false }
    guard let bytes = id.baseAddress else { return true }
    return memcmp(arena.base + start, bytes, id.count) == 0
  }

  /// The number of an id, new or known; nil when there are as many ids as `Int32` can number.
  @inline(__always)
  mutating func intern(_ id: UnsafeRawBufferPointer) -> Int32? {
    let hash = Self.hash(id)
    var slot = Int(hash) & mask
    while true {
      let entry = slots[slot]
      if entry == 0 { break }
      if UInt32(truncatingIfNeeded: entry >> 32) == hash {
        let number = Int32(truncatingIfNeeded: entry) &- 1
        if equals(number, id) { return number }
      }
      slot = (slot &+ 1) & mask
    }
    return insert(id, hash, slot)
  }

  func number(of id: UnsafeRawBufferPointer) -> Int32? {
    let hash = Self.hash(id)
    var slot = Int(hash) & mask
    while slots[slot] != 0 {
      let entry = slots[slot]
      if UInt32(truncatingIfNeeded: entry >> 32) == hash {
        let number = Int32(truncatingIfNeeded: entry) &- 1
        if equals(number, id) { return number }
      }
      slot = (slot &+ 1) & mask
    }
    return nil
  }

  @inline(never)
  private mutating func insert(_ id: UnsafeRawBufferPointer, _ hash: UInt32, _ slot: Int) -> Int32? {
    // Four token ids follow the items, so the last few numbers stay free.
    guard count < Int(Int32.max) - 8 else { return nil }
    if let bytes = id.baseAddress {
      arena.append(bytes.assumingMemoryBound(to: UInt8.self), count: id.count)
    }
    offsets.append(arena.count)
    slots[slot] = UInt64(hash) << 32 | UInt64(count + 1)
    count += 1
    if count * 3 > (mask + 1) * 2 { grow() }
    return Int32(count - 1)
  }

  private mutating func grow() {
    let (old, oldCount) = (slots, mask + 1)
    mask = 2 * oldCount - 1
    slots = Self.emptySlots(mask + 1)
    for place in 0..<oldCount where old[place] != 0 {
      var slot = Int(old[place] >> 32) & mask
      while slots[slot] != 0 { slot = (slot &+ 1) & mask }
      slots[slot] = old[place]
    }
    old.deallocate()
  }

  /// All ids in order of their numbers.
  func externalIDs() -> ExternalIDs {
    ExternalIDs(offsets: Array(offsets.elements), bytes: Array(arena.elements))
  }

  /// The ids whose numbers stand in `order`, in that order.
  func externalIDs(in order: [Int32]) -> ExternalIDs {
    var ids = ExternalIDs()
    for number in order { ids.append(self[number]) }
    return ids
  }

  /// Multiply and fold, eight bytes at a time (the step of wyhash). The numbers of ids do not depend on it.
  @inline(__always)
  private static func hash(_ id: UnsafeRawBufferPointer) -> UInt32 {
    guard let bytes = id.baseAddress else { return 0 }
    var state = UInt64(truncatingIfNeeded: id.count) &* 0x9E37_79B9_7F4A_7C15 ^ 0x2545_F491_4F6C_DD1D
    var place = 0
    while place &+ 8 <= id.count {
      state = fold(state ^ bytes.loadUnaligned(fromByteOffset: place, as: UInt64.self))
      place &+= 8
    }
    let rest = id.count &- place
    if rest >= 4 {
      let low = UInt64(bytes.loadUnaligned(fromByteOffset: place, as: UInt32.self))
      let high = UInt64(bytes.loadUnaligned(fromByteOffset: id.count &- 4, as: UInt32.self))
      state = fold(state ^ (low | high << 32))
    } else if rest > 0 {
      let first = UInt64(bytes.load(fromByteOffset: place, as: UInt8.self))
      let middle = UInt64(bytes.load(fromByteOffset: place &+ rest / 2, as: UInt8.self))
      let last = UInt64(bytes.load(fromByteOffset: id.count &- 1, as: UInt8.self))
      state = fold(state ^ (first | middle << 8 | last << 16))
    }
    return UInt32(truncatingIfNeeded: state ^ (state >> 32))
  }

  @inline(__always)
  private static func fold(_ value: UInt64) -> UInt64 {
    let product = value.multipliedFullWidth(by: 0x9FB2_1C65_1E98_DF25)
    return product.high ^ product.low ^ 0xD6E8_FEB8_6659_FD93
  }
}
