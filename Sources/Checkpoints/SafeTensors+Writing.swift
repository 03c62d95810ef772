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
    try write(path, tensors: tensors) { (take) throws(ProgramFailure) in
      for part in data { try take(part) }
    }.file
  }

  /// The same of numbers that are nowhere as a whole: `make` calls its argument with one part of the data section after the other.
  ///
  /// Returns the SHA-256 of the data section, too.
  package static func write(
    _ path: String, tensors: [(name: String, shape: [Int])],
    _ make: (_ take: @escaping (UnsafeBufferPointer<Float>) throws(ProgramFailure) -> Void) throws(ProgramFailure) -> Void
  ) throws(ProgramFailure) -> (file: FileRecord, dataHash: String) {
    let header = header(tensors)
    let length = tensors.reduce(0) { $0 + $1.shape.reduce(1, *) } * MemoryLayout<Float>.size
    var (ofFile, ofData, count) = (SHA256Hasher(), SHA256Hasher(), 0)
    ofFile.update(header)
    try FileSystem.writeDurably(path) { (takeBytes) throws(ProgramFailure) in
      try header.withUnsafeBytes { bytes in Result { () throws(ProgramFailure) in try takeBytes(bytes) } }.get()
      try make { (part) throws(ProgramFailure) in
        let bytes = UnsafeRawBufferPointer(part)
        ofFile.update(bytes)
        ofData.update(bytes)
        count += bytes.count
        try takeBytes(bytes)
      }
    }
    precondition(count == length, "the tensors do not have as many elements as the buffers")
    return (FileRecord(sha256: ofFile.hexDigest(), bytes: header.count + length), ofData.hexDigest())
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
