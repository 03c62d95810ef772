import SystemSupport
import TensorFlowFiles

/// Makes lengths and checksums right again, so that what stands behind them is reached.
enum Repair {
  static func lengthPrefix(_ count: Int) -> [UInt8] { withUnsafeBytes(of: UInt64(count).littleEndian) { Array($0) } }

  /// The header's length, where its JSON seems to end: before the first byte that follows `}}` and spaces.
  static func safetensors(_ bytes: [UInt8]) -> [UInt8] {
    let brace = UInt8(ascii: "}")
    guard bytes.count >= 10, var end = (9..<bytes.count).first(where: { bytes[$0] == brace && bytes[$0 - 1] == brace })
    else { return bytes }
    end += 1
    while end < bytes.count, bytes[end] == 0x20 { end += 1 }
    return lengthPrefix(end - 8) + bytes[8...]
  }

  /// The hash of a safetensors file's data, as its header's length has it.
  static func dataHash(_ bytes: [UInt8]) -> String {
    guard bytes.count >= 8 else { return "" }
    let length = bytes.withUnsafeBytes { UInt64(littleEndian: $0.loadUnaligned(as: UInt64.self)) }
    guard length <= bytes.count - 8 else { return "" }
    return sha256Hex(Array(bytes[(8 + Int(length))...]))
  }

  /// The last line of trainer.json.
  static func trainer(_ bytes: [UInt8]) -> [UInt8] {
    let key = Array("\n  \"sha256\": \"".utf8)
    guard let place = last(key, in: bytes) else { return bytes }
    let body = Array(bytes[...place])
    return body + key.dropFirst() + Array("\(sha256Hex(body))\"\n}\n".utf8)
  }

  private static func last(_ word: [UInt8], in bytes: [UInt8]) -> Int? {
    guard bytes.count >= word.count else { return nil }
    return (0...(bytes.count - word.count)).last { bytes[$0..<($0 + word.count)].elementsEqual(word) }
  }

  /// A file of records.
  static func records(_ records: [[UInt8]]) -> [UInt8] {
    records.flatMap { recordSums(lengthPrefix($0.count) + [0, 0, 0, 0] + $0 + [0, 0, 0, 0]) }
  }

  /// The checksums of a file of records, as far as their lengths lead.
  static func recordSums(_ bytes: [UInt8]) -> [UInt8] {
    var (bytes, start) = (bytes, 0)
    func put(_ place: Int, _ range: Range<Int>) {
      withUnsafeBytes(of: CRC32C.masked(of: Array(bytes[range])).littleEndian) { bytes.replaceSubrange(place..<(place + 4), with: $0) }
    }
    while start + 16 <= bytes.count {
      put(start + 8, start..<(start + 8))
      let length = bytes.withUnsafeBytes { UInt64(littleEndian: $0.loadUnaligned(fromByteOffset: start, as: UInt64.self)) }
      guard length <= bytes.count - start - 16 else { break }
      put(start + 12 + Int(length), (start + 12)..<(start + 12 + Int(length)))
      start += 16 + Int(length)
    }
    return bytes
  }

  /// The contents of a sorted table's only block of entries. Behind them stand a byte and a checksum, and then an empty block.
  static func firstBlock(ofTable bytes: [UInt8]) -> [UInt8] {
    let empty: [UInt8] = [0, 0, 0, 0, 1, 0, 0, 0, 0]
    let end = (5..<bytes.count).first { bytes[$0...].starts(with: empty) } ?? bytes.count
    return Array(bytes[..<(end - 5)])
  }

  /// A sorted table of one block with these contents, all its checksums right.
  static func table(ofBlock contents: [UInt8]) -> [UInt8] {
    func trailed(_ block: [UInt8]) -> [UInt8] {
      let bytes = block + [0]
      return bytes + withUnsafeBytes(of: CRC32C.masked(of: bytes).littleEndian) { Array($0) }
    }
    func varint(_ value: Int) -> [UInt8] { value < 0x80 ? [UInt8(value)] : [UInt8(value & 0x7F | 0x80)] + varint(value >> 7) }
    let data = trailed(contents)
    let place = [0] + varint(contents.count)
    let index = [0, 1, UInt8(place.count), 0x7A] + place + [0, 0, 0, 0, 1, 0, 0, 0]
    let handles = varint(0) + varint(0) + varint(data.count) + varint(index.count)
    let magic: UInt64 = 0xDB47_7524_8B80_FB57
    return data + trailed(index) + handles + [UInt8](repeating: 0, count: 40 - handles.count)
      + withUnsafeBytes(of: magic.littleEndian) { Array($0) }
  }

  /// The text with another value for a file's size and checksum, as manifest.json has them.
  static func manifest(_ text: String, file: String, _ bytes: [UInt8]) -> String {
    guard let name = text.range(of: "\"\(file)\""), let end = text.range(of: "}", in: name.upperBound..<text.endIndex)
    else { return text }
    let entry = "\"\(file)\": {\"size\": \(bytes.count), \"sha256\": \"\(sha256Hex(bytes))\"}"
    return String(text[..<name.lowerBound]) + entry + String(text[end.upperBound...])
  }

  static func manifest(_ text: String, fingerprint: String) -> String {
    guard let key = text.range(of: "\"fingerprint\": \""),
      let end = text.range(of: "\"", in: key.upperBound..<text.endIndex)
    else { return text }
    return String(text[..<key.upperBound]) + fingerprint + String(text[end.lowerBound...])
  }
}

extension String {
  func range(of word: String, in range: Range<Index>? = nil) -> Range<Index>? {
    self[range ?? startIndex..<endIndex].firstRange(of: word)
  }
}
