import SystemSupport

#if _endian(big)
  #error("safetensors is little-endian; the buffers are written as they stand")
#endif

extension SafeTensors {
  /// Writes F32 tensors and forces them to the disk. The data section is the buffers one after the other, in the
  /// tensors' order.
  ///
  /// Returns the file's size and checksum, of what was meant to be written rather than of what the disk gives back.
  @discardableResult
  package static func write(
    _ path: String, tensors: [(name: String, shape: [Int])], data: [UnsafeBufferPointer<Float>]
  ) throws(ProgramFailure) -> FileRecord {
    precondition(
      tensors.reduce(0) { $0 + $1.shape.reduce(1, *) } == data.reduce(0) { $0 + $1.count },
      "the tensors do not have as many elements as the buffers")
    let header = header(tensors)
    let parts = data.map { UnsafeRawBufferPointer($0) }
    let result = header.withUnsafeBytes { headerBytes in
      Result { () throws(ProgramFailure) in try FileSystem.writeDurably(path, [headerBytes] + parts) }
    }
    try result.get()

    var hasher = SHA256Hasher()
    hasher.update(header)
    for part in parts { hasher.update(part) }
    return FileRecord(sha256: hasher.hexDigest(), bytes: header.count + parts.reduce(0) { $0 + $1.count })
  }

  /// The length and the header, padded with spaces so that the data begins at a multiple of 8.
  private static func header(_ tensors: [(name: String, shape: [Int])]) -> [UInt8] {
    var members = [JSON.Member("__metadata__", ["format": .string("pt")])]
    var offset = 0
    for tensor in tensors {
      let end = offset + tensor.shape.reduce(1, *) * MemoryLayout<Float>.size
      members.append(
        JSON.Member(
          tensor.name,
          [
            "dtype": .string("F32"), "shape": .array(tensor.shape.map { .integer($0) }),
            "data_offsets": .array([.integer(offset), .integer(end)]),
          ]))
      offset = end
    }
    var text = Array(JSON.object(members).line.utf8)
    while text.count % 8 != 0 { text.append(UInt8(ascii: " ")) }
    precondition(text.count <= maximumHeaderLength, "the header is too long")
    return withUnsafeBytes(of: UInt64(text.count).littleEndian) { Array($0) } + text
  }
}
