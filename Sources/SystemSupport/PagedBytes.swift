import CLinux
import Glibc

/// Bytes that come one after the other and are then read, in pages of their own: growing moves pages instead of copying
/// bytes, so that they stand in memory once; memory that is not there is told rather than the end of the process; and
/// what has been read can be let go of.
package final class PagedBytes {
  private static let page = 1 << 16
  private var base: UnsafeMutableRawPointer?
  private var capacity = 0
  package private(set) var count = 0

  package init() {}

  deinit { if let base { munmap(base, capacity) } }

  package var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base, count: count) }

  /// Appends bytes; false, and nothing happens, where there is no memory for them.
  package func append(_ more: UnsafeRawBufferPointer) -> Bool {
    guard let source = more.baseAddress, more.count > 0 else { return true }
    guard let target = room(for: more.count) else { return false }
    target.copyMemory(from: source, byteCount: more.count)
    count += more.count
    return true
  }

  /// Where the next bytes stand.
  private func room(for more: Int) -> UnsafeMutableRawPointer? {
    let (wanted, overflows) = count.addingReportingOverflow(more)
    if overflows || wanted > 1 << 46 { return nil }
    if wanted > capacity {
      let generous = max(wanted, capacity + capacity / 2, 1 << 20)
      if !grow(to: generous), !grow(to: wanted) { return nil }
    }
    return base.map { $0 + count }
  }

  private func grow(to wanted: Int) -> Bool {
    let size = (wanted + Self.page - 1) / Self.page * Self.page
    let grown =
      base.map { linux_move_pages($0, UInt(capacity), UInt(size)) }
      ?? mmap(nil, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    guard let grown, grown != MAP_FAILED else { return false }
    (base, capacity) = (grown, size)
    return true
  }

  /// Lets go of the memory of a range, whose bytes are never read again.
  package func discard(_ range: Range<Int>) {
    guard let base else { return }
    // Whole pages only: others still hold bytes that count.
    let start = (range.lowerBound + Self.page - 1) / Self.page * Self.page
    let end = range.upperBound / Self.page * Self.page
    if start < end { madvise(base + start, end - start, MADV_DONTNEED) }
  }
}
