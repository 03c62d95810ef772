import SystemSupport

/// A sorted table of keys and values: LevelDB's format as TensorFlow has it (LevelDB, doc/table_format.md; TensorFlow,
/// core/lib/io/table_builder.cc), which the .index of a checkpoint is.
///
/// Blocks, each followed by a byte for its compression and a masked CRC-32C; a block of the blocks' places; 48 bytes at the end that say
/// where that one stands. In a block a key is what it shares with the one before it, and the rest.
package enum SortedTable {
  package static let footerLength = 48
  static let magic: UInt64 = 0xDB47_7524_8B80_FB57
  /// Compression and checksum.
  static let trailerLength = 5
  /// Entries after which a key stands whole again.
  static let restartInterval = 16

  package struct Entry {
    package let key: [UInt8]
    package let value: UnsafeRawBufferPointer
  }

  // MARK: Reading

  /// All entries, whose keys ascend; their values live as long as the file's bytes. Fails with exit code 65, naming `path` and the byte.
  package static func read(_ file: UnsafeRawBufferPointer, path: String) throws(ProgramFailure) -> [Entry] {
    guard file.count >= footerLength else {
      throw ProgramFailure(.badData, "\(path): no checkpoint of TensorFlow, or cut short: \(file.count) bytes, too few for its end")
    }
    var footer = ByteReader(UnsafeRawBufferPointer(rebasing: file[(file.count - footerLength)...]))
    let handles = (0..<2).map { _ in BlockHandle(&footer) }
    var end = ByteReader(UnsafeRawBufferPointer(rebasing: file[(file.count - 8)...]))
    guard end.fixed(UInt64.self) == magic, let index = handles[1] else {
      throw ProgramFailure(
        .badData, "\(path): no checkpoint of TensorFlow, or cut short: its last 48 bytes are not those of such a file")
    }
    var entries: [Entry] = []
    for place in try block(index, file, path) {
      var reader = ByteReader(place.value)
      guard let handle = BlockHandle(&reader) else {
        throw ProgramFailure(.badData, "\(path) is damaged: byte \(index.offset): the index of its blocks names no place")
      }
      entries += try block(handle, file, path)
      // Blocks that are named again and again would fill the memory.
      guard entries.count <= file.count else {
        throw ProgramFailure(.badData, "\(path) is damaged: byte \(index.offset): the index of its blocks names some twice")
      }
    }
    for (one, next) in zip(entries, entries.dropFirst()) where !one.key.lexicographicallyPrecedes(next.key) {
      throw ProgramFailure(.badData, "\(path) is damaged: its keys do not ascend at \"\(String(decoding: next.key, as: UTF8.self))\"")
    }
    return entries
  }

  struct BlockHandle {
    var offset: Int
    var size: Int

    init(offset: Int, size: Int) { (self.offset, self.size) = (offset, size) }

    init?(_ reader: inout ByteReader) {
      guard let offset = reader.size(), let size = reader.size() else { return nil }
      self.init(offset: offset, size: size)
    }
  }

  /// The entries of one block, checked.
  private static func block(
    _ handle: BlockHandle, _ file: UnsafeRawBufferPointer, _ path: String
  ) throws(ProgramFailure) -> [Entry] {
    func bad(_ what: String) -> ProgramFailure {
      ProgramFailure(.badData, "\(path) is damaged: the block at byte \(handle.offset) \(what)")
    }

    let room = file.count - footerLength - trailerLength
    guard handle.size <= room, handle.offset <= room - handle.size else { throw bad("passes the end of the file") }
    let end = handle.offset + handle.size
    let checked = UnsafeRawBufferPointer(rebasing: file[handle.offset...end])
    let stored = UInt32(littleEndian: file.loadUnaligned(fromByteOffset: end + 1, as: UInt32.self))
    guard CRC32C.masked(of: checked) == stored else { throw bad("has not its checksum") }
    guard file[end] == 0 else { throw bad("is compressed, which TensorFlow does not do with checkpoints") }

    let contents = UnsafeRawBufferPointer(rebasing: checked.dropLast())
    guard contents.count >= 4 else { throw bad("is too short") }
    let restarts = UInt32(littleEndian: contents.loadUnaligned(fromByteOffset: contents.count - 4, as: UInt32.self))
    guard Int(restarts) <= contents.count / 4 - 1 else { throw bad("is too short") }
    var reader = ByteReader(UnsafeRawBufferPointer(rebasing: contents.dropLast(4 + 4 * Int(restarts))))
    var entries: [Entry] = []
    var key: [UInt8] = []
    var keyBytes = 0
    while !reader.isAtEnd {
      guard let shared = reader.size(), let rest = reader.size(), let length = reader.size(), shared <= key.count,
        let ending = reader.take(rest), let value = reader.take(length)
      else { throw bad("has an entry that is malformed (number \(entries.count))") }
      // A new one of just its size: what is cut from a long one would keep its room.
      key = [UInt8](unsafeUninitializedCapacity: shared + rest) { room, count in
        _ = room.update(fromContentsOf: key[..<shared])
        _ = UnsafeMutableBufferPointer(rebasing: room[shared...]).update(fromContentsOf: ending)
        count = shared + rest
      }
      keyBytes += key.count
      // Each may share all of a long one: the square of a file's size.
      guard keyBytes <= maximumKeyBytes else { throw bad("has keys of more than \(maximumKeyBytes) bytes") }
      entries.append(Entry(key: key, value: value))
    }
    return entries
  }

  private static let maximumKeyBytes = 1 << 26

  // MARK: Writing

  /// TensorFlow's size of a block.
  private static let blockSize = 1 << 18

  /// The file of some entries, whose keys ascend.
  package static func file(_ entries: [(key: [UInt8], value: [UInt8])]) -> [UInt8] {
    var (file, block, index) = ([UInt8](), Block(), Block())
    /// Adds a block and says where it stands.
    func close(_ block: inout Block) -> [UInt8] {
      let contents = block.finished
      var handle: [UInt8] = []
      handle.append(varint: UInt64(file.count))
      handle.append(varint: UInt64(contents.count))
      let trailed = contents + [0]
      file += trailed
      file.append(fixed: CRC32C.masked(of: trailed))
      block = Block()
      return handle
    }
    for (place, entry) in entries.enumerated() {
      block.add(entry.key, entry.value)
      if block.size >= blockSize || place == entries.count - 1 { index.add(entry.key, close(&block)) }
    }
    var empty = Block()
    var footer = close(&empty)
    footer += close(&index)
    footer += [UInt8](repeating: 0, count: footerLength - 8 - footer.count)
    footer.append(fixed: magic)
    return file + footer
  }

  private struct Block {
    private var bytes: [UInt8] = []
    private var restarts: [UInt32] = []
    private var count = 0
    private var last: [UInt8] = []

    var size: Int { bytes.count }

    mutating func add(_ key: [UInt8], _ value: [UInt8]) {
      precondition(count == 0 || last.lexicographicallyPrecedes(key), "the keys ascend")
      var shared = 0
      if count % restartInterval == 0 {
        restarts.append(UInt32(bytes.count))
      } else {
        while shared < min(last.count, key.count), last[shared] == key[shared] { shared += 1 }
      }
      for size in [shared, key.count - shared, value.count] { bytes.append(varint: UInt64(size)) }
      bytes += key[shared...]
      bytes += value
      last = key
      count += 1
    }

    /// With the places where keys stand whole; an empty block has one, as LevelDB's.
    var finished: [UInt8] {
      let places = restarts.isEmpty ? [0] : restarts
      var result = bytes
      for place in places { result.append(fixed: place) }
      result.append(fixed: UInt32(places.count))
      return result
    }
  }
}
