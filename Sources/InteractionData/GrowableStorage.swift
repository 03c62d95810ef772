import Glibc

/// An append-only buffer outside Swift's arrays: no reference counts or exclusivity checks in loops over millions of
/// rows, and `realloc` lets the system move large blocks by remapping pages, so that growing never holds two copies.
struct GrowableStorage<Element: BitwiseCopyable>: ~Copyable {
  private(set) var base: UnsafeMutablePointer<Element>
  private(set) var count = 0
  private var capacity: Int

  init(capacity: Int = 16) {
    self.capacity = max(capacity, 1)
    base = Self.allocate(nil, self.capacity)
  }

  deinit { free(base) }

  private static func allocate(_ old: UnsafeMutablePointer<Element>?, _ capacity: Int) -> UnsafeMutablePointer<Element> {
    guard let memory = realloc(old, capacity * MemoryLayout<Element>.stride) else {
      // As Swift's own allocations do.
      preconditionFailure("out of memory")
    }
    return memory.assumingMemoryBound(to: Element.self)
  }

  mutating func reserve(_ wanted: Int) {
    if wanted <= capacity { return }
    capacity = max(wanted, 2 * capacity)
    base = Self.allocate(base, capacity)
  }

  @inline(__always)
  mutating func append(_ element: Element) {
    if count == capacity { reserve(count + 1) }
    base[count] = element
    count += 1
  }

  mutating func append(_ elements: UnsafePointer<Element>, count extra: Int) {
    reserve(count + extra)
    (base + count).update(from: elements, count: extra)
    count += extra
  }

  /// Makes room for exactly `newCount` elements, whose values are yet to be set.
  mutating func resize(_ newCount: Int) {
    reserve(newCount)
    count = newCount
  }

  mutating func removeAll() { count = 0 }

  var elements: UnsafeBufferPointer<Element> { UnsafeBufferPointer(start: base, count: count) }

  /// Hands the elements over, to be released with `free`, and starts again, empty.
  mutating func take() -> UnsafeMutableBufferPointer<Element> {
    let taken = UnsafeMutableBufferPointer(start: base, count: count)
    capacity = 1
    base = Self.allocate(nil, capacity)
    count = 0
    return taken
  }
}
