import Glibc
import SystemSupport

/// Bytes in memory, as one block.
final class MemoryStream: ByteStream {
  private var rest: UnsafeRawBufferPointer?

  init(_ bytes: UnsafeRawBufferPointer) { rest = bytes }

  func next() -> UnsafeRawBufferPointer? {
    defer { rest = nil }
    return rest
  }
}

/// Another stream, of which it is known whether its end has been seen.
final class WatchedStream: ByteStream {
  private let stream: any ByteStream
  private(set) var isAtEnd = false

  init(_ stream: any ByteStream) { self.stream = stream }

  func next() throws(ProgramFailure) -> UnsafeRawBufferPointer? {
    let block = try stream.next()
    if block == nil { isAtEnd = true }
    return block
  }
}

/// What comes out of compressed data; their own sums are checked, and all of them must have been used up at the end.
final class DecompressedStream: ByteStream {
  private let handle: ArchiveHandle
  private let packed: UnsafeRawBufferPointer
  private let bound: UnpackingBound
  private var checksum: GzipChecksum?
  private var count = 0
  /// Called with the packed bytes behind the reader, now and then; they are not read again by this stream.
  private let passed: ((Range<Int>) -> Void)?
  private var passedCount = 0
  private static let passedAtOnce = 1 << 25
  private var isOpen = false
  private var isAtEnd = false

  /// `packed` must stay valid.
  init(
    _ packed: UnsafeRawBufferPointer, _ packing: Packing, name: String, bound: UnpackingBound, passed: ((Range<Int>) -> Void)? = nil
  ) throws(ProgramFailure) {
    handle = try ArchiveHandle(decompressing: packed, packing, name: name)
    (self.packed, self.bound, self.passed) = (packed, bound, passed)
    checksum = packing == .gzip ? GzipChecksum(packed) : nil
  }

  func next() throws(ProgramFailure) -> UnsafeRawBufferPointer? {
    if isAtEnd { return nil }
    if !isOpen {
      isOpen = true
      let member = try handle.nextMember()
      if handle.layers != 1 { throw handle.failure(handle.layers == 0 ? "its header is damaged" : "it is compressed twice") }
      if member == nil { return try end() }
    }
    guard let block = try handle.nextBlock() else { return try end() }
    checksum?.add(block.bytes, consumed: handle.consumed)
    count += block.bytes.count
    try bound.check(count)
    let behind = handle.consumed & ~0xFFFF
    if behind - passedCount > Self.passedAtOnce {
      passed?(passedCount..<behind)
      passedCount = behind
    }
    return block.bytes
  }

  private func end() throws(ProgramFailure) -> UnsafeRawBufferPointer? {
    isAtEnd = true
    let consumed = handle.consumed
    if checksum?.isRight(consumed: consumed) == false { throw handle.failure("its checksum is another") }
    // Tapes and some copies pad with zeros.
    guard (0...packed.count).contains(consumed), packed[consumed...].allSatisfy({ $0 == 0 }) else {
      throw handle.failure("\(packed.count - consumed) bytes behind its end are none of it")
    }
    return nil
  }
}

/// A member of an archive that has been opened.
final class MemberStream: ByteStream {
  private let handle: ArchiveHandle
  private let bound: UnpackingBound
  private var place: Int64 = 0
  /// A block that stands behind zeros.
  private var held: ArchiveHandle.Block?
  nonisolated(unsafe) private static let zeros = UnsafeRawBufferPointer(start: calloc(1, 1 << 16), count: 1 << 16)

  init(_ handle: ArchiveHandle, bound: UnpackingBound) { (self.handle, self.bound) = (handle, bound) }

  func next() throws(ProgramFailure) -> UnsafeRawBufferPointer? {
    let next = if let held { held } else { try handle.nextBlock() }
    guard let block = next else { return nil }
    // Files with holes: tar leaves zeros out.
    if block.offset > place {
      held = block
      try bound.check(block.offset)
      let count = Int(min(block.offset - place, Int64(Self.zeros.count)))
      place += Int64(count)
      return UnsafeRawBufferPointer(rebasing: Self.zeros[..<count])
    }
    held = nil
    guard block.offset == place else { throw handle.failure("its blocks overlap") }
    place += Int64(block.bytes.count)
    try bound.check(place)
    return block.bytes
  }
}
