/// Writes numbers of 4 and 8 bytes one after the other, for an exchange that moves words of 4 bytes and whose reader knows what they are.
struct WordWriter {
  private var place: UnsafeMutableRawPointer

  init(_ start: UnsafeMutablePointer<Float>) { place = UnsafeMutableRawPointer(start) }

  mutating func write<Number: BitwiseCopyable>(_ number: Number) {
    place.storeBytes(of: number, as: Number.self)
    place += MemoryLayout<Number>.size
  }
}

/// Reads what a `WordWriter` has written.
struct WordReader {
  private var place: UnsafeRawPointer

  init(_ start: UnsafePointer<Float>) { place = UnsafeRawPointer(start) }

  mutating func read<Number: BitwiseCopyable>(_ type: Number.Type = Number.self) -> Number {
    defer { place += MemoryLayout<Number>.size }
    return place.loadUnaligned(as: type)
  }
}
