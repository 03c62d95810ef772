import SystemSupport

/// Bytes that are compressed, or an archive of which one member is read. They must stay valid as long as this.
final class PackedSource {
  /// What messages call it: the file, with a colon and the member behind it where there is one.
  let name: String
  /// What it is unpacked from, for the report: "gzip", "tar in gzip", "gzip in zip".
  private(set) var description: String
  private let file: String
  private let bytes: UnsafeRawBufferPointer
  private let packing: Packing
  /// The members are those of a tar archive, which may be compressed.
  private let isTar: Bool
  /// The member's place in the archive.
  private let member: Int?
  /// Lets go of the memory of packed bytes, which come back from the file when they are read again.
  private let release: ((Range<Int>) -> Void)?
  /// The member's bytes, where they are themselves compressed.
  private var inner: (bytes: PagedBytes, packing: Packing)?

  /// Looks for the member in an archive; exit code 65 where none or several may be meant, or the archive is damaged.
  init(
    _ bytes: UnsafeRawBufferPointer, _ packing: Packing, file: String, member wanted: String?, release: ((Range<Int>) -> Void)?
  ) throws(Failure) {
    (self.bytes, self.packing, self.file, self.release) = (bytes, packing, file, release)
    let bound = UnpackingBound(name: file, packing: packing)
    var isTar = packing == .tar
    if !packing.isArchive {
      let stream = try DecompressedStream(bytes, packing, name: file, bound: bound)
      let inside = try stream.next().flatMap { Packing.recognised(in: $0) }
      // The block is the stream's.
      withExtendedLifetime(stream) {}
      if let inside {
        guard inside == .tar else { throw Self.nested(inside, file) }
        isTar = true
      }
    }
    self.isTar = isTar
    description = isTar && packing != .tar ? "tar in \(packing)" : "\(packing)"
    guard isTar || packing == .zip else {
      if wanted != nil { throw Self.noArchive(file) }
      (name, member) = (file, nil)
      return
    }
    let chosen = try Self.choose(bytes, packing, isTar, file, wanted, bound)
    name = "\(file):\(TerminalText.line(String(decoding: chosen.member.name, as: UTF8.self)))"
    member = chosen.place
  }

  /// Goes through the whole archive: a second file that may be meant, or damage, can stand at its end.
  private static func choose(
    _ bytes: UnsafeRawBufferPointer, _ packing: Packing, _ isTar: Bool, _ file: String, _ wanted: String?, _ bound: UnpackingBound
  ) throws(Failure) -> (place: Int, member: ArchiveHandle.Member) {
    var choice = MemberChoice(archive: file, wanted: wanted)
    let stream = isTar ? try tarStream(bytes, packing, file, bound) : nil
    let handle = try open(bytes, stream, file)
    // libarchive reads what it finds before a place where the file is cut.
    if !isTar, !Packing.hasZipEnd(bytes) { throw handle.failure("its end is missing") }
    while let member = try handle.nextMember() {
      choice.see(member)
      Liveness.tick()
    }
    if let stream {
      // libarchive takes the end of the bytes for the archive's, too.
      if stream.isAtEnd { throw handle.failure("its end is missing") }
      while try stream.next() != nil { Liveness.tick() }
    }
    return try choice.chosen()
  }

  private static func open(
    _ bytes: UnsafeRawBufferPointer, _ stream: WatchedStream?, _ file: String
  ) throws(Failure) -> ArchiveHandle {
    if let stream { return try ArchiveHandle(tar: stream, name: file) }
    return try ArchiveHandle(zip: bytes, name: file)
  }

  private static func tarStream(
    _ bytes: UnsafeRawBufferPointer, _ packing: Packing, _ file: String, _ bound: UnpackingBound
  ) throws(Failure) -> WatchedStream {
    if packing == .tar { return WatchedStream(MemoryStream(bytes)) }
    return WatchedStream(try DecompressedStream(bytes, packing, name: file, bound: bound))
  }

  /// Of a file that is asked for a member and has none.
  static func noArchive(_ file: String) -> Failure {
    Failure(.badData, "\(file) is no archive (zip or tar), so no file in it can be named behind a colon; give \(file) alone")
  }

  private static func nested(_ packing: Packing, _ name: String) -> Failure {
    Failure(
      .badData,
      "\(name): \(packing.name) within what is packed itself, which is not read; unpack it once and give what comes out")
  }

  // MARK: Unpacking

  /// Unpacks into `buffer`, which is empty, all or at least `least` bytes; false where more would follow.
  func unpack(into buffer: PagedBytes, atLeast least: Int?) throws(Failure) -> Bool {
    let bound = UnpackingBound(name: name, packing: packing)
    if let member, inner == nil {
      let stream = try memberStream(member, bound)
      let first = try stream.next()
      guard let first, let inside = Packing.recognised(in: first) else {
        return try Self.copy(stream, first, buffer, atLeast: least, bound)
      }
      if inside.isArchive { throw Self.nested(inside, name) }
      let bytes = PagedBytes()
      _ = try Self.copy(stream, first, bytes, atLeast: nil, bound)
      inner = (bytes, inside)
      description = "\(inside) in \(description)"
    }
    let stream =
      if let inner { try DecompressedStream(inner.bytes.bytes, inner.packing, name: name, bound: bound) } else {
        try DecompressedStream(bytes, packing, name: name, bound: bound, passed: release)
      }
    let first = try stream.next()
    if inner != nil, let first, let inside = Packing.recognised(in: first) { throw Self.nested(inside, name) }
    return try Self.copy(stream, first, buffer, atLeast: least, bound)
  }

  private func memberStream(_ member: Int, _ bound: UnpackingBound) throws(Failure) -> MemberStream {
    let handle = try Self.open(bytes, isTar ? Self.tarStream(bytes, packing, file, bound) : nil, file)
    var found = try handle.nextMember()
    for _ in 0..<member { found = try handle.nextMember() }
    guard let found else { throw handle.failure("it has changed") }
    if let size = found.size { try bound.check(size) }
    return MemberStream(handle, bound: bound)
  }

  private static func copy(
    _ stream: any ByteStream, _ first: UnsafeRawBufferPointer?, _ buffer: PagedBytes, atLeast least: Int?, _ bound: UnpackingBound
  ) throws(Failure) -> Bool {
    var next = first
    while let block = next {
      try bound.check(buffer.count + block.count)
      guard buffer.append(block) else { throw bound.failure }
      Liveness.tick()
      if let least, buffer.count >= least { return false }
      next = try stream.next()
    }
    return true
  }
}
