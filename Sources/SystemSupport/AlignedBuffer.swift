import Glibc

/// The one way in which buffers that live long are taken: many numbers, zeroed, on a page's boundary, straight from the system, so that
/// pages which nobody touches cost nothing and the others lie near the thread that touches them first. Large ones ask for the system's
/// large pages, with which fewer addresses have to be looked up (3 to 5 % of a step). It has one owner and is given back when that goes.
package struct AlignedBuffer<Element: BitwiseCopyable>: ~Copyable {
  package let base: UnsafeMutablePointer<Element>
  /// Elements.
  package let count: Int
  private let region: PageRegion

  /// - Parameter purpose: what the memory is for, as the message says it: "the parameters".
  package init(count: Int, for purpose: String) throws(ProgramFailure) {
    precondition(count >= 0)
    try self.init(count: count, for: purpose, isReserved: false)
  }

  /// - Parameter isReserved: only addresses are taken, and pages where they are touched, however much more there is of the one than there
  ///   will be of the other. No large pages: they would bring in what nobody touches.
  init(count: Int, for purpose: String, isReserved: Bool) throws(ProgramFailure) {
    region = try PageRegion(byteCount: count * MemoryLayout<Element>.stride, for: purpose, isReserved: isReserved)
    base = region.base.bindMemory(to: Element.self, capacity: max(count, 1))
    self.count = count
  }

  /// For where nothing can be thrown: ends the program with one line and exit code 70 when the memory is refused. mpirun then ends
  /// the other ranks.
  package static func orEnd(count: Int, for purpose: String) -> AlignedBuffer {
    do throws(ProgramFailure) { return try AlignedBuffer(count: count, for: purpose) } catch {
      printError("error: \(error.message)")
      _exit(error.exitCode.rawValue)
    }
  }

  deinit { region.giveBack() }

  package var byteCount: Int { count * MemoryLayout<Element>.stride }

  /// All elements. The view does not keep the memory.
  package var elements: UnsafeMutableBufferPointer<Element> { UnsafeMutableBufferPointer(start: base, count: count) }
}

/// Pages of the system.
private struct PageRegion {
  let base: UnsafeMutableRawPointer
  private let mapped: UnsafeMutableRawPointer
  private let mappedCount: Int
  private static let largePage = 1 << 21

  init(byteCount: Int, for purpose: String, isReserved: Bool) throws(ProgramFailure) {
    let isLarge = !isReserved && byteCount >= 2 * Self.largePage
    mappedCount = max(byteCount, 1) + (isLarge ? Self.largePage : 0)
    let flags = MAP_PRIVATE | MAP_ANONYMOUS | (isReserved ? MAP_NORESERVE : 0)
    let mapped = mmap(nil, mappedCount, PROT_READ | PROT_WRITE, flags, -1, 0)
    guard let mapped, mapped != MAP_FAILED else {
      let reason = String(cString: strerror(errno))
      if isReserved {
        throw ProgramFailure(
          .internalFault,
          "no addresses for \(purpose), \(MemorySize.text(Double(byteCount))): \(reason). A sharded table takes the addresses of all its "
            + "rows on each rank, and memory for the rank's own: raise the limit of addresses (ulimit -v), or use table replicated.")
      }
      throw ProgramFailure(
        .internalFault,
        "no memory for \(purpose), \(MemorySize.text(Double(byteCount))): \(reason). Use fewer ranks or threads per host, a smaller "
          + "model, or raise the limit (ulimit -v, the control group's).")
    }
    self.mapped = mapped
    base = isLarge ? mapped.alignedUp(toMultipleOf: Self.largePage) : mapped
    // A wish: without large pages all works as well.
    if isLarge { madvise(base, byteCount, MADV_HUGEPAGE) }
    if isReserved { madvise(base, mappedCount, MADV_NOHUGEPAGE) }
  }

  func giveBack() { munmap(mapped, mappedCount) }
}
