import Glibc
import SystemSupport

/// The bytes of one input: a file is mapped, a pipe or standard input (`-`) is read to its end into memory, and what is
/// compressed or in an archive is unpacked into memory.
final class InputBytes {
  /// The path as it was given, with the file in an archive behind it; for messages.
  let name: String
  /// What is unpacked of a packed input may be its beginning.
  private(set) var bytes: UnsafeRawBufferPointer
  private(set) var isComplete = true
  private let source: PackedSource?
  private let mapping: MappedFile?
  /// What has been read from a pipe.
  private let piped: PagedBytes?
  private var unpacked: PagedBytes?

  /// Opens a file, or one in an archive (`archive:member`).
  /// - Parameter beginning: Of packed data, no more than some bytes more than these are unpacked; `complete` gets all.
  /// - Throws: Exit code 65 for packed data that cannot be unpacked or are too many for the memory, 66 for what cannot be opened.
  init(_ path: String, beginning: Int? = nil) throws(ProgramFailure) {
    let part = InputPaths.member(of: path)
    let path = part?.archive ?? path
    let file = path == "-" ? "standard input" : path
    // An argument that begins with - would be an option.
    let typed = path == "-" ? "/dev/stdin" : path
    let whole: UnsafeRawBufferPointer
    if path == "-" || FileSystem.kind(path) == .other {
      let read = try Self.readWhole(path, file)
      (piped, mapping, whole) = (read, nil, read.bytes)
    } else {
      let mapped = try MappedFile(path)
      if let base = mapped.bytes.baseAddress {
        madvise(UnsafeMutableRawPointer(mutating: base), mapped.bytes.count, MADV_SEQUENTIAL)
      }
      (piped, mapping, whole) = (nil, mapped, mapped.bytes)
    }
    guard let packing = Packing.recognised(in: whole) else {
      if part != nil { throw PackedSource.noArchive(file) }
      (name, source, bytes) = (file, nil, whole)
      return
    }
    let release = mapping.map { mapping in { (range: Range<Int>) in InputBytes.release(mapping.bytes, range) } }
    let source = try PackedSource(
      whole, packing, file: file, typed: typed, member: part?.member, isWanted: beginning == nil, release: release)
    (name, self.source, bytes) = (source.name, source, UnsafeRawBufferPointer(start: nil, count: 0))
    try unpack(source, atLeast: beginning)
  }

  private func unpack(_ source: PackedSource, atLeast least: Int?) throws(ProgramFailure) {
    let (buffer, isWhole) = try source.unpack(atLeast: least)
    isComplete = isWhole
    if let mapping { Self.release(mapping.bytes, 0..<mapping.bytes.count) }
    (bytes, unpacked) = (buffer.bytes, buffer)
  }

  /// Unpacks what only the beginning is there of.
  func complete() throws(ProgramFailure) {
    guard !isComplete, let source else { return }
    // Not both at once.
    (bytes, unpacked) = (UnsafeRawBufferPointer(start: nil, count: 0), nil)
    try unpack(source, atLeast: nil)
  }

  /// Lets go of all but the first `count` bytes of packed data until they are read.
  func shrink(to count: Int) throws(ProgramFailure) {
    guard let source, isComplete, bytes.count > count else { return }
    (bytes, unpacked) = (UnsafeRawBufferPointer(start: nil, count: 0), nil)
    try unpack(source, atLeast: count)
  }

  /// "gzip", "zip" and the like; nil where nothing is unpacked.
  var packing: String? { source?.description }

  private static func readWhole(_ path: String, _ name: String) throws(ProgramFailure) -> PagedBytes {
    let descriptor =
      path == "-"
      ? STDIN_FILENO
      : try FileSystem.reading { () throws(SystemError) in
        try systemCall("open", path) { open(path, O_RDONLY | O_CLOEXEC) }
      }
    defer { if path != "-" { close(descriptor) } }
    let bytes = PagedBytes()
    let most = UnpackingBound.available
    let block = UnsafeMutableRawPointer.allocate(byteCount: 1 << 16, alignment: 16)
    defer { block.deallocate() }
    while true {
      // Whoever writes into the pipe, or types, takes the time that it takes.
      let count = try FileSystem.reading { () throws(SystemError) in
        try systemCall("read", name) { Liveness.outside { read(descriptor, block, 1 << 16) } }
      }
      if count == 0 { return bytes }
      guard bytes.count + count <= most, bytes.append(UnsafeRawBufferPointer(start: block, count: count)) else {
        throw ProgramFailure(
          .badData,
          "\(name): there is no memory for more than its first \(MemorySize.text(Double(bytes.count))); give a file, which may be "
            + "larger than memory")
      }
    }
  }

  /// Lets go of the memory of bytes that have been read and are not read again (those of a mapped file stay in the
  /// system's cache), so that a file may be larger than memory.
  func discard(_ range: Range<Int>) {
    if let buffer = unpacked ?? (source == nil ? piped : nil) { return buffer.discard(range) }
    if mapping != nil { Self.release(bytes, range) }
  }

  private static func release(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>) {
    guard let base = bytes.baseAddress else { return }
    madvise(UnsafeMutableRawPointer(mutating: base + range.lowerBound), range.count, MADV_DONTNEED)
  }

  /// The bytes after a UTF-8 byte-order mark, if there is one.
  var body: UnsafeRawBufferPointer {
    bytes.count >= 3 && bytes[0] == 0xEF && bytes[1] == 0xBB && bytes[2] == 0xBF
      ? UnsafeRawBufferPointer(rebasing: bytes[3...]) : bytes
  }
}
