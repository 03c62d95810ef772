import Glibc

/// Memory that several may hold: an `AlignedBuffer` of bytes with a count of references.
package final class AlignedMemory: @unchecked Sendable {
  private let buffer: AlignedBuffer<UInt8>

  package init(byteCount: Int, for purpose: String) throws(ProgramFailure) { buffer = try AlignedBuffer(count: byteCount, for: purpose) }

  /// Takes addresses alone, and pages as they are touched; `giveBack` gives these back.
  package init(reserving byteCount: Int, for purpose: String) throws(ProgramFailure) {
    buffer = try AlignedBuffer(count: byteCount, for: purpose, isReserved: true)
  }

  /// Gives those pages back that lie in this range of bytes wholly: they hold zeros when they are touched again.
  package func giveBack(_ bytes: Range<Int>) {
    let size = Int(sysconf(Int32(_SC_PAGESIZE)))
    let (start, end) = ((bytes.lowerBound + size - 1) / size * size, bytes.upperBound / size * size)
    if start < end { madvise(base + start, end - start, MADV_DONTNEED) }
  }

  /// Gives all pages back: everything is zero, as at the beginning.
  package func giveBackAll() { madvise(base, byteCount, MADV_DONTNEED) }

  package var base: UnsafeMutableRawPointer { UnsafeMutableRawPointer(buffer.base) }
  package var byteCount: Int { buffer.count }

  /// The whole of it as numbers; any left-over bytes are not part of them.
  package func elements<Element: BitwiseCopyable>(_ type: Element.Type) -> UnsafeMutableBufferPointer<Element> {
    let count = byteCount / MemoryLayout<Element>.stride
    return UnsafeMutableBufferPointer(start: base.bindMemory(to: type, capacity: max(count, 1)), count: count)
  }
}
