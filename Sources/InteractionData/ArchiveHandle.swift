import CArchive
import Glibc
import SystemSupport

/// Bytes that come block by block.
protocol ByteStream: AnyObject {
  /// The next block, valid until the next call; nil at the end.
  func next() throws(ProgramFailure) -> UnsafeRawBufferPointer?
}

/// libarchive, which nothing else calls: its readers of compressed data, and of the members of archives. Names of
/// members are bytes to compare with others and never become paths.
final class ArchiveHandle {
  struct Member {
    /// As the archive has it, without `./` before it.
    let name: [UInt8]
    /// A regular file, not a folder or a link.
    let isFile: Bool
    let isEncrypted: Bool
    /// Bytes, as the archive says; nil where it does not.
    let size: Int64?
  }

  /// Bytes of a member and where in it they stand; what lies between blocks are zeros.
  struct Block {
    let bytes: UnsafeRawBufferPointer
    let offset: Int64
  }

  private let handle: OpaquePointer
  /// What messages call the file, and what kind it is of.
  private let name: String
  private let packing: Packing
  private let upstream: Upstream?

  /// Reads one stream of compressed data; `packed` must stay valid.
  init(decompressing packed: UnsafeRawBufferPointer, _ packing: Packing, name: String) throws(ProgramFailure) {
    (handle, self.name, self.packing, upstream) = (Self.make(), name, packing, nil)
    let support =
      switch packing {
      case .gzip: archive_read_support_filter_gzip(handle)
      case .zstd: archive_read_support_filter_zstd(handle)
      case .xz: archive_read_support_filter_xz(handle)
      case .bzip2: archive_read_support_filter_bzip2(handle)
      case .zip, .tar: preconditionFailure("an archive is no stream")
      }
    // Where it lacks a library, libarchive would start a program in its place.
    guard support == ARCHIVE_OK else {
      throw ProgramFailure(
        .badData, "\(name): \(packing.name), which this machine's libarchive does not read; unpack it (\(packing.command)) and give G")
    }
    try check(archive_read_support_format_raw(handle))
    try check(archive_read_support_format_empty(handle))
    try open(packed)
  }

  /// Reads the members of a zip archive; `packed` must stay valid.
  init(zip packed: UnsafeRawBufferPointer, name: String) throws(ProgramFailure) {
    (handle, self.name, packing, upstream) = (Self.make(), name, .zip, nil)
    try check(archive_read_support_format_zip(handle))
    try open(packed)
  }

  /// Reads the members of a tar archive.
  init(tar stream: any ByteStream, name: String) throws(ProgramFailure) {
    let upstream = Upstream(stream)
    (handle, self.name, packing, self.upstream) = (Self.make(), name, .tar, upstream)
    try check(archive_read_support_format_tar(handle))
    let state = archive_read_open(
      handle, Unmanaged.passUnretained(upstream).toOpaque(), nil,
      { _, upstream, target in
        guard let upstream, let target else { return -1 }
        return Unmanaged<Upstream>.fromOpaque(upstream).takeUnretainedValue().read(target)
      }, nil)
    try check(state)
  }

  private static func make() -> OpaquePointer {
    guard let handle = archive_read_new() else { preconditionFailure("out of memory") }
    return handle
  }

  deinit { archive_read_free(handle) }

  private func open(_ packed: UnsafeRawBufferPointer) throws(ProgramFailure) {
    try check(archive_read_open_memory2(handle, packed.baseAddress, packed.count, 1 << 18))
  }

  /// The next member, or nil at the end; a compressed stream has one, or none where nothing is in it.
  func nextMember() throws(ProgramFailure) -> Member? {
    // The names' encoding, for this thread and call.
    let utf8 = carchive_utf8()
    let before = utf8.flatMap { uselocale($0) }
    defer {
      if let before { uselocale(before) }
      if let utf8 { freelocale(utf8) }
    }
    var entry: OpaquePointer?
    let state = archive_read_next_header(handle, &entry)
    if state == ARCHIVE_EOF { return nil }
    // A warning is about names and attributes.
    if state != ARCHIVE_WARN { try check(state) }
    guard let entry else { throw failure("no header") }
    var path =
      (archive_entry_pathname(entry) ?? archive_entry_pathname_utf8(entry)).map { text in
        Array(UnsafeRawBufferPointer(start: text, count: strlen(text)))
      } ?? []
    while path.starts(with: Array("./".utf8)) { path.removeFirst(2) }
    return Member(
      name: path, isFile: carchive_is_file(entry), isEncrypted: archive_entry_is_encrypted(entry) != 0,
      size: archive_entry_size_is_set(entry) == 0 ? nil : archive_entry_size(entry))
  }

  /// The next bytes of the member, valid until the next call; nil at its end.
  func nextBlock() throws(ProgramFailure) -> Block? {
    var (bytes, count, offset): (UnsafeRawPointer?, Int, Int64) = (nil, 0, 0)
    let state = archive_read_data_block(handle, &bytes, &count, &offset)
    if state == ARCHIVE_EOF { return nil }
    // Warnings, too: of a wrong length or checksum.
    try check(state)
    return Block(bytes: UnsafeRawBufferPointer(start: bytes, count: count), offset: offset)
  }

  /// Bytes of the packed data behind the reader.
  var consumed: Int { Int(archive_filter_bytes(handle, -1)) }

  /// How often the data are compressed.
  var layers: Int { Int(archive_filter_count(handle)) - 1 }

  private func check(_ state: Int32) throws(ProgramFailure) {
    if state == ARCHIVE_OK { return }
    if let failure = upstream?.failure { throw failure }
    throw failure(archive_error_string(handle).map { String(cString: $0) } ?? "no reason is given")
  }

  /// Of data that cannot be unpacked.
  func failure(_ reason: String) -> ProgramFailure {
    ProgramFailure(
      .badData,
      "\(name): \(packing.name) that cannot be unpacked (\(reason)): it is cut off, damaged or packed in a way that is not read; "
        + "get it again, or unpack it (\(packing.command)) and give what comes out")
  }

  /// Hands a stream's blocks to libarchive, and keeps the failure that it cannot carry.
  private final class Upstream {
    private let stream: any ByteStream
    private(set) var failure: ProgramFailure?

    init(_ stream: any ByteStream) { self.stream = stream }

    func read(_ target: UnsafeMutablePointer<UnsafeRawPointer?>) -> Int {
      do throws(ProgramFailure) {
        guard let block = try stream.next() else { return 0 }
        target.pointee = block.baseAddress
        return block.count
      } catch {
        failure = error
        return -1
      }
    }
  }
}
