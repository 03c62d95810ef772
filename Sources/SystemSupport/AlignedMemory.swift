import Glibc

/// Memory for many numbers, the one way in which large buffers are taken: zeroed, on a page's boundary, straight from the system, so
/// that pages which nobody touches cost nothing and the others lie near the thread that touches them first. Large ones ask for the
/// system's large pages, with which fewer addresses have to be looked up (3 to 5 % of a step). Given back when the last reference goes.
package final class AlignedMemory: @unchecked Sendable {
  package let base: UnsafeMutableRawPointer
  package let byteCount: Int
  private let mapped: UnsafeMutableRawPointer
  private let mappedCount: Int
  private static let largePage = 1 << 21

  /// - Parameter purpose: what the memory is for, as the message says it: "the parameters".
  package init(byteCount: Int, for purpose: String) throws(Failure) {
    precondition(byteCount >= 0)
    let isLarge = byteCount >= 2 * Self.largePage
    mappedCount = max(byteCount, 1) + (isLarge ? Self.largePage : 0)
    let mapped = mmap(nil, mappedCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    guard let mapped, mapped != MAP_FAILED else {
      let reason = String(cString: strerror(errno))
      throw Failure(
        .internalFault,
        "no memory for \(purpose), \(MemorySize.text(Double(byteCount))): \(reason). Use fewer ranks or threads per host, a smaller "
          + "model, or raise the limit (ulimit -v, the control group's).")
    }
    self.mapped = mapped
    self.byteCount = byteCount
    base = isLarge ? mapped.alignedUp(toMultipleOf: Self.largePage) : mapped
    // A wish: without large pages all works as well.
    if isLarge { madvise(base, byteCount, MADV_HUGEPAGE) }
  }

  deinit { munmap(mapped, mappedCount) }

  /// For where nothing can be thrown: ends the program with one line and exit code 70 when the memory is refused. mpirun then ends
  /// the other ranks.
  package static func orEnd(byteCount: Int, for purpose: String) -> AlignedMemory {
    do throws(Failure) { return try AlignedMemory(byteCount: byteCount, for: purpose) } catch {
      printError("error: \(error.message)")
      _exit(error.exitCode.rawValue)
    }
  }

  /// The whole of it as numbers; any left-over bytes are not part of them.
  package func elements<Element: BitwiseCopyable>(_ type: Element.Type) -> UnsafeMutableBufferPointer<Element> {
    let count = byteCount / MemoryLayout<Element>.stride
    return UnsafeMutableBufferPointer(start: base.bindMemory(to: type, capacity: max(count, 1)), count: count)
  }
}

/// Sizes as people read them.
package enum MemorySize {
  /// "72 MiB", "1.7 TiB": two digits or more, in the largest unit that leaves a whole number before the point.
  package static func text(_ bytes: Double) -> String {
    let units = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
    var (size, unit) = (bytes, 0)
    while size >= 1023.5 && unit + 1 < units.count { (size, unit) = (size / 1024, unit + 1) }
    let tenths = (size * 10).rounded()
    if unit == 0 || tenths >= 100 { return "\(Int(min(size.rounded(), 1e15))) \(units[unit])" }
    return "\(Int(tenths) / 10).\(Int(tenths) % 10) \(units[unit])"
  }
}
