/// Memory that several may hold: an `AlignedBuffer` of bytes with a count of references.
package final class AlignedMemory: @unchecked Sendable {
  private let buffer: AlignedBuffer<UInt8>

  package init(byteCount: Int, for purpose: String) throws(ProgramFailure) { buffer = try AlignedBuffer(count: byteCount, for: purpose) }

  package var base: UnsafeMutableRawPointer { UnsafeMutableRawPointer(buffer.base) }
  package var byteCount: Int { buffer.count }

  /// The whole of it as numbers; any left-over bytes are not part of them.
  package func elements<Element: BitwiseCopyable>(_ type: Element.Type) -> UnsafeMutableBufferPointer<Element> {
    let count = byteCount / MemoryLayout<Element>.stride
    return UnsafeMutableBufferPointer(start: base.bindMemory(to: type, capacity: max(count, 1)), count: count)
  }
}
