import SystemSupport

/// The gradients of those rows of the table that a gradient shard touches, found by their ids: a row and its bias in one vector.
///
/// An open hash table whose memory grows to what was needed most. Each thread has its own.
package final class RowGradients {
  /// Numbers of a row: H, and the bias behind them.
  package let width: Int
  /// Rows so far.
  package private(set) var count = 0
  private var capacity = 0
  private var memory: Memory
  private let starts: AlignedBuffer<Int>  // of a digit, for sorting

  private final class Memory {
    let slots: AlignedBuffer<Int32>  // twice the capacity: a row's number + 1, or 0
    let ids: AlignedBuffer<Int32>  // (capacity), in the order in which they came
    let places: AlignedBuffer<Int32>  // (capacity), in `slots`
    let keys: AlignedBuffer<UInt64>  // (2, capacity), for sorting
    let values: AlignedBuffer<Float>  // (capacity, width)

    init(capacity: Int, width: Int) {
      slots = .orEnd(count: 2 * capacity, for: "the gradients of rows")
      ids = .orEnd(count: capacity, for: "the gradients of rows")
      places = .orEnd(count: capacity, for: "the gradients of rows")
      keys = .orEnd(count: 2 * capacity, for: "the gradients of rows")
      values = .orEnd(count: capacity * width, for: "the gradients of rows")
    }
  }

  package init(hidden: Int) {
    width = hidden + 1
    memory = Memory(capacity: 0, width: width)
    starts = .orEnd(count: Self.digits, for: "the gradients of rows")
  }

  /// Bytes with so many rows.
  package static func byteCount(rows: Int, hidden: Int) -> Int { rows * (8 + 4 + 4 + 16 + 4 * (hidden + 1)) }

  /// Forgets all rows.
  package func removeAll() {
    for index in 0..<count { memory.slots.base[Int(memory.places.base[index])] = 0 }
    count = 0
  }

  /// The vector of a row, zeros where it is new. Valid until the next call.
  package func row(_ id: Int32) -> UnsafeMutablePointer<Float> {
    if count == capacity { grow() }
    let place = place(of: id)
    if memory.slots.base[place] == 0 {
      memory.ids.base[count] = id
      memory.places.base[count] = Int32(place)
      count += 1
      memory.slots.base[place] = Int32(count)
      let vector = memory.values.base + (count - 1) * width
      vector.update(repeating: 0, count: width)
      return vector
    }
    return memory.values.base + Int(memory.slots.base[place] - 1) * width
  }

  /// Where an id stands, or would.
  private func place(of id: Int32) -> Int {
    let mask = 2 * capacity - 1
    var place = Int(truncatingIfNeeded: UInt64(UInt32(bitPattern: id)) &* 0x9E37_79B9_7F4A_7C15 >> 24) & mask
    while true {
      let slot = memory.slots.base[place]
      if slot == 0 || memory.ids.base[Int(slot) - 1] == id { return place }
      place = (place + 1) & mask
    }
  }

  private func grow() {
    let old = memory
    capacity = max(1024, 2 * capacity)
    memory = Memory(capacity: capacity, width: width)
    memory.ids.base.update(from: old.ids.base, count: count)
    memory.values.base.update(from: old.values.base, count: count * width)
    for index in 0..<count {
      let place = place(of: memory.ids.base[index])
      memory.slots.base[place] = Int32(index + 1)
      memory.places.base[index] = Int32(place)
    }
  }

  /// Writes ids (count) ascending, and values (count, width) in the same order.
  package func copy(ids: UnsafeMutablePointer<Int32>, values: UnsafeMutablePointer<Float>) {
    // Radix sort, eleven bits at a time.
    var (from, to) = (memory.keys.base, memory.keys.base + capacity)
    for index in 0..<count { from[index] = UInt64(UInt32(bitPattern: memory.ids.base[index])) << 32 | UInt64(index) }
    let starts = starts.base
    var shift: UInt64 = 32
    while shift < 64 {
      starts.update(repeating: 0, count: Self.digits)
      for index in 0..<count { starts[Self.digit(from[index], shift)] += 1 }
      var total = 0
      for digit in 0..<Self.digits { (starts[digit], total) = (total, total + starts[digit]) }
      for index in 0..<count {
        let digit = Self.digit(from[index], shift)
        to[starts[digit]] = from[index]
        starts[digit] += 1
      }
      (from, to) = (to, from)
      shift += 11
    }
    for index in 0..<count {
      ids[index] = Int32(truncatingIfNeeded: from[index] >> 32)
      (values + index * width).update(from: memory.values.base + Int(from[index] & 0xFFFF_FFFF) * width, count: width)
    }
  }

  private static let digits = 2048

  private static func digit(_ key: UInt64, _ shift: UInt64) -> Int { Int(truncatingIfNeeded: key >> shift) & (digits - 1) }
}
