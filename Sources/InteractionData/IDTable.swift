import CLinux
import Glibc

/// Gives each distinct byte string a number, 0, 1, 2, ... in order of first appearance.
///
/// Open addressing with linear probing over one arena of bytes. An id of at most seven bytes, as most are, also
/// stands in its slot, so that finding it touches one line of the cache.
struct IDTable: ~Copyable {
  private struct Slot {
    /// Hash in the high half, number + 1 in the low half; 0 is free.
    var entry: UInt64
    /// The whole id, or 0 if it is longer than seven bytes.
    var key: UInt64
  }

  private var slots: UnsafeMutablePointer<Slot>
  private var mask: Int
  private var arena = GrowableStorage<UInt8>(capacity: 1 << 12)
  private var offsets = GrowableStorage<Int>(capacity: 1 << 8)
  private(set) var count = 0

  /// `count`: as many ids find room before the table grows.
  init(count: Int = 0) {
    var slotCount = 1 << 8
    while count * 3 > slotCount * 2 { slotCount *= 2 }
    mask = slotCount - 1
    slots = Self.emptySlots(mask + 1)
    offsets.append(0)
  }

  deinit { slots.deallocate() }

  private static func emptySlots(_ count: Int) -> UnsafeMutablePointer<Slot> {
    let slots = UnsafeMutablePointer<Slot>.allocate(capacity: count)
    slots.initialize(repeating: Slot(entry: 0, key: 0), count: count)
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
    let key = Self.key(id)
    let hash = Self.hash(id, key)
    let slot = find(id, key, hash)
    let entry = slots[slot].entry
    return entry != 0 ? Int32(truncatingIfNeeded: entry) &- 1 : insert(id, key, hash, slot)
  }

  /// Asks for the memory where an id's number stands; of several, the machine fetches them side by side.
  @inline(__always)
  func expect(_ id: UnsafeRawBufferPointer) {
    prefetch(slots + (Int(Self.hash(id, Self.key(id))) & mask))
  }

  func number(of id: UnsafeRawBufferPointer) -> Int32? {
    let key = Self.key(id)
    let entry = slots[find(id, key, Self.hash(id, key))].entry
    return entry != 0 ? Int32(truncatingIfNeeded: entry) &- 1 : nil
  }

  /// The slot of an id, or the free one where it belongs.
  @inline(__always)
  private func find(_ id: UnsafeRawBufferPointer, _ key: UInt64, _ hash: UInt32) -> Int {
    var slot = Int(hash) & mask
    while true {
      let found = slots[slot]
      if found.entry == 0 { return slot }
      if UInt32(truncatingIfNeeded: found.entry >> 32) == hash, found.key == key,
        key != 0 || equals(Int32(truncatingIfNeeded: found.entry) &- 1, id)
      {
        return slot
      }
      slot = (slot &+ 1) & mask
    }
  }

  @inline(never)
  private mutating func insert(_ id: UnsafeRawBufferPointer, _ key: UInt64, _ hash: UInt32, _ slot: Int) -> Int32? {
    // Four token ids follow the items, so the last few numbers stay free.
    guard count < Int(Int32.max) - 8 else { return nil }
    if let bytes = id.baseAddress {
      arena.append(bytes.assumingMemoryBound(to: UInt8.self), count: id.count)
    }
    offsets.append(arena.count)
    slots[slot] = Slot(entry: UInt64(hash) << 32 | UInt64(count + 1), key: key)
    count += 1
    if count * 3 > (mask + 1) * 2 { grow() }
    return Int32(count - 1)
  }

  private mutating func grow() {
    let (old, oldCount) = (slots, mask + 1)
    mask = 2 * oldCount - 1
    slots = Self.emptySlots(mask + 1)
    for place in 0..<oldCount where old[place].entry != 0 {
      var slot = Int(old[place].entry >> 32) & mask
      while slots[slot].entry != 0 { slot = (slot &+ 1) & mask }
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

  /// An id of one to seven bytes with its length in the top byte; 0 for others.
  @inline(__always)
  private static func key(_ id: UnsafeRawBufferPointer) -> UInt64 {
    guard let bytes = id.baseAddress, id.count < 8 else { return 0 }
    let length = id.count
    if length >= 4 {
      // Four bytes from the front and four up to the end, without those that both hold.
      let low = UInt64(bytes.loadUnaligned(as: UInt32.self).littleEndian)
      let high = UInt64(bytes.loadUnaligned(fromByteOffset: length &- 4, as: UInt32.self).littleEndian)
      return low | (high >> (8 &* UInt64(truncatingIfNeeded: 8 &- length))) << 32 | UInt64(length) << 56
    }
    if length < 1 { return 0 }
    let first = UInt64(bytes.load(as: UInt8.self))
    let middle = UInt64(bytes.load(fromByteOffset: length / 2, as: UInt8.self))
    let last = UInt64(bytes.load(fromByteOffset: length &- 1, as: UInt8.self))
    return first | middle << 8 | last << 16 | UInt64(length) << 56
  }

  /// Multiply and fold, eight bytes at a time (the step of wyhash). The numbers of ids do not depend on it.
  @inline(__always)
  private static func hash(_ id: UnsafeRawBufferPointer, _ key: UInt64) -> UInt32 {
    var state: UInt64 = 0x2545_F491_4F6C_DD1D
    if key != 0 {
      state = fold(state ^ key)
    } else if let bytes = id.baseAddress, id.count >= 8 {
      state ^= UInt64(truncatingIfNeeded: id.count) &* 0x9E37_79B9_7F4A_7C15
      var place = 0
      while place &+ 8 <= id.count {
        state = fold(state ^ bytes.loadUnaligned(fromByteOffset: place, as: UInt64.self))
        place &+= 8
      }
      // The last eight bytes, some of them once more.
      state = fold(state ^ bytes.loadUnaligned(fromByteOffset: id.count &- 8, as: UInt64.self))
    }
    return UInt32(truncatingIfNeeded: state ^ (state >> 32))
  }

  @inline(__always)
  private static func fold(_ value: UInt64) -> UInt64 {
    // Arbitrary odd constants; the xor keeps 0 from mapping to 0.
    let product = value.multipliedFullWidth(by: 0x9FB2_1C65_1E98_DF25)
    return product.high ^ product.low ^ 0xD6E8_FEB8_6659_FD93
  }
}
