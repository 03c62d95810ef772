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
  /// The member's bytes, where they have been unpacked when it was looked for.
  private var whole: PagedBytes?

  /// Looks for the member in an archive; exit code 65 where none or several may be meant, or the archive is damaged.
  ///
  /// - Parameters:
  ///   - typed: What users write for the file, before a colon and a member's name.
  ///   - isWanted: All of the member is about to be asked for. Looking for it in a compressed archive means to unpack everything, and
  ///     what may be it is kept then.
  init(
    _ bytes: UnsafeRawBufferPointer, _ packing: Packing, file: String, typed: String, member wanted: String?, isWanted: Bool,
    release: ((Range<Int>) -> Void)?
  ) throws(ProgramFailure) {
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
    var found = Search(choice: MemberChoice(archive: file, typed: typed, wanted: wanted), keeps: isWanted && isTar && packing != .tar)
    try found.go(through: bytes, packing, isTar, file, bound)
    let chosen = try found.choice.chosen()
    name = "\(file):\(TerminalText.line(String(decoding: chosen.member.name, as: UTF8.self)))"
    member = chosen.place
    if let kept = found.kept, kept.place == chosen.place { whole = kept.bytes }
  }

  /// Looks for a member.
  fileprivate struct Search {
    var choice: MemberChoice
    /// Whether to keep the bytes of the one that may be it.
    let keeps: Bool
    var kept: (place: Int, bytes: PagedBytes)?
  }

  fileprivate static func open(
    _ bytes: UnsafeRawBufferPointer, _ stream: WatchedStream?, _ file: String
  ) throws(ProgramFailure) -> ArchiveHandle {
    if let stream { return try ArchiveHandle(tar: stream, name: file) }
    return try ArchiveHandle(zip: bytes, name: file)
  }

  fileprivate static func tarStream(
    _ bytes: UnsafeRawBufferPointer, _ packing: Packing, _ file: String, _ bound: UnpackingBound
  ) throws(ProgramFailure) -> WatchedStream {
    if packing == .tar { return WatchedStream(MemoryStream(bytes)) }
    return WatchedStream(try DecompressedStream(bytes, packing, name: file, bound: bound))
  }

  /// Of a file that is asked for a member and has none.
  static func noArchive(_ file: String) -> ProgramFailure {
    ProgramFailure(.badData, "\(file) is no archive (zip or tar), so no file in it can be named behind a colon; give \(file) alone")
  }

  private static func nested(_ packing: Packing, _ name: String) -> ProgramFailure {
    ProgramFailure(
      .badData,
      "\(name): \(packing.name) within what is packed itself, which is not read; unpack it once and give what comes out")
  }

  // MARK: Unpacking

  /// What is unpacked: all of it, or at least `least` bytes; then more may follow, and it is not whole.
  func unpack(atLeast least: Int?) throws(ProgramFailure) -> (bytes: PagedBytes, isWhole: Bool) {
    let bound = UnpackingBound(name: name, packing: packing)
    if let member, inner == nil {
      if let whole {
        self.whole = nil
        guard let inside = Packing.recognised(in: whole.bytes) else { return (whole, true) }
        try open(inside, whole)
      } else {
        let stream = try memberStream(member, bound)
        let (buffer, first) = (PagedBytes(), try stream.next())
        guard let first, let inside = Packing.recognised(in: first) else {
          return (buffer, try Self.copy(stream, first, buffer, atLeast: least, bound))
        }
        if inside.isArchive { throw Self.nested(inside, name) }
        _ = try Self.copy(stream, first, buffer, atLeast: nil, bound)
        try open(inside, buffer)
      }
    }
    let stream =
      if let inner { try DecompressedStream(inner.bytes.bytes, inner.packing, name: name, bound: bound) } else {
        try DecompressedStream(bytes, packing, name: name, bound: bound, passed: release)
      }
    let (buffer, first) = (PagedBytes(), try stream.next())
    if inner != nil, let first, let inside = Packing.recognised(in: first) { throw Self.nested(inside, name) }
    return (buffer, try Self.copy(stream, first, buffer, atLeast: least, bound))
  }

  /// Of a member that is compressed itself.
  private func open(_ packing: Packing, _ bytes: PagedBytes) throws(ProgramFailure) {
    if packing.isArchive { throw Self.nested(packing, name) }
    inner = (bytes, packing)
    description = "\(packing) in \(description)"
  }

  private func memberStream(_ member: Int, _ bound: UnpackingBound) throws(ProgramFailure) -> MemberStream {
    let handle = try Self.open(bytes, isTar ? Self.tarStream(bytes, packing, file, bound) : nil, file)
    var found = try handle.nextMember()
    for _ in 0..<member { found = try handle.nextMember() }
    guard let found else { throw handle.failure("it has changed") }
    if let size = found.size { try bound.check(size) }
    return MemberStream(handle, bound: bound)
  }

  fileprivate static func copy(
    _ stream: any ByteStream, _ first: UnsafeRawBufferPointer?, _ buffer: PagedBytes, atLeast least: Int?, _ bound: UnpackingBound
  ) throws(ProgramFailure) -> Bool {
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

extension PackedSource.Search {
  /// Goes through the whole archive: a second file that may be meant, or damage, can stand at its end.
  fileprivate mutating func go(
    through bytes: UnsafeRawBufferPointer, _ packing: Packing, _ isTar: Bool, _ file: String, _ bound: UnpackingBound
  ) throws(ProgramFailure) {
    let stream = isTar ? try PackedSource.tarStream(bytes, packing, file, bound) : nil
    let handle = try PackedSource.open(bytes, stream, file)
    // libarchive reads what it finds before a place where the file is cut.
    if !isTar, !Packing.hasZipEnd(bytes) { throw handle.failure("its end is missing") }
    var place = 0
    while let member = try handle.nextMember() {
      if choice.see(member), keeps { kept = keep(handle, bound).map { (place, $0) } }
      place += 1
      Liveness.tick()
    }
    if let stream {
      // libarchive takes the end of the bytes for the archive's, too.
      if stream.isAtEnd { throw handle.failure("its end is missing") }
      while try stream.next() != nil { Liveness.tick() }
    }
  }

  /// The bytes of the present member; nil for what is wrong with them or too much, which counts where they are chosen: they are
  /// unpacked again then.
  private func keep(_ handle: ArchiveHandle, _ bound: UnpackingBound) -> PagedBytes? {
    let (stream, buffer) = (MemberStream(handle, bound: bound), PagedBytes())
    guard let first = try? stream.next() else { return nil }
    let isWhole = try? PackedSource.copy(stream, first, buffer, atLeast: nil, bound)
    return isWhole == true ? buffer : nil
  }
}
