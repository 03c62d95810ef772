import SystemSupport

/// `sequences.bin`: the ragged array of a prepared folder, laid out so that it can be mapped and used as it is.
///
/// Little-endian, as every platform that Swift has on Linux: a header of 64 bytes (magic, version, users,
/// interactions, items: 8 bytes each; the rest zero), offsets (Int64, users + 1), values (Int32, interactions; 1 ...
/// items).
enum SequencesFile {
  static let headerSize = 64
  static let version: Int64 = 1
  private static let magic = Array("B4RSEQ\r\n".utf8)

  static func header(users: Int, interactions: Int, items: Int) -> [UInt8] {
    var bytes = magic
    for number in [version, Int64(users), Int64(interactions), Int64(items)] {
      withUnsafeBytes(of: number.littleEndian) { bytes.append(contentsOf: $0) }
    }
    bytes.append(contentsOf: repeatElement(0, count: headerSize - bytes.count))
    return bytes
  }

  /// Checks everything that the header and the array claim; the sequences keep the file mapped. `itemCounts` is what
  /// the values must add up to.
  static func open(_ file: MappedFile, path: String, itemCounts: [Int64]) throws(ProgramFailure) -> Sequences {
    func damaged(_ what: String) -> ProgramFailure {
      ProgramFailure(.badData, "\(path): \(what); the folder is damaged, write it again with prepare")
    }
    let bytes = file.bytes
    guard let base = bytes.baseAddress, bytes.count >= headerSize, bytes.starts(with: magic) else {
      throw damaged("not a file of sequences")
    }
    func number(_ place: Int) -> Int64 { Int64(littleEndian: base.load(fromByteOffset: 8 * place, as: Int64.self)) }
    guard number(1) == version else { throw damaged("version \(number(1)), expected \(version)") }
    let (users, interactions, items) = (number(2), number(3), number(4))
    let largest = Int64(1) << 48  // keeps the size below from overflowing
    guard users > 0, users < largest, interactions > 0, interactions < largest, items == Int64(itemCounts.count) else {
      throw damaged("\(users) users, \(interactions) interactions and \(items) items cannot be")
    }
    let expected = Int64(headerSize) + 8 * (users + 1) + 4 * interactions
    guard Int64(bytes.count) == expected else {
      throw damaged("\(bytes.count) bytes, expected \(expected)")
    }
    let offsets = UnsafeBufferPointer(
      start: (base + headerSize).assumingMemoryBound(to: Int64.self), count: Int(users) + 1)
    let values = UnsafeBufferPointer(
      start: (base + headerSize + 8 * offsets.count).assumingMemoryBound(to: Int32.self), count: Int(interactions))
    guard offsets[0] == 0, offsets[Int(users)] == interactions else { throw damaged("wrong first or last offset") }
    for user in 0..<Int(users) where offsets[user + 1] < offsets[user] {
      throw damaged("the offsets of user \(user) descend")
    }
    var counts = [Int64](repeating: 0, count: Int(items))
    for (place, value) in values.enumerated() {
      guard value >= 1, Int64(value) <= items else {
        throw damaged("value \(value) at \(place) is no item (1 ... \(items))")
      }
      counts[Int(value) - 1] += 1
    }
    guard counts == itemCounts else { throw damaged("the items' counts differ from those of items.tsv") }
    return Sequences(offsets: offsets, values: values, release: { withExtendedLifetime(file) {} })
  }
}
