import SystemSupport

#if _endian(big)
  #error(".npy files are written as little-endian; the buffers are written as they stand")
#endif

/// NumPy's file of one array (.npy, version 1.0): float32, little-endian, row-major.
package enum NumPyFile {
  private static let magic: [UInt8] = [0x93] + Array("NUMPY".utf8) + [1, 0]
  /// The data begin at a multiple of this, so that a mapped file is aligned.
  private static let alignment = 64

  /// Writes an array and forces it to the disk. `data`: as many float32 as the shape has elements.
  package static func write(_ path: String, shape: [Int], _ data: UnsafeRawBufferPointer) throws(ProgramFailure) {
    precondition(data.count == shape.reduce(MemoryLayout<Float>.size, *), "the data do not have the shape's size")
    let header = header(shape: shape)
    let result = header.withUnsafeBytes { header in
      Result { () throws(ProgramFailure) in try FileSystem.writeDurably(path, [header, data]) }
    }
    try result.get()
  }

  /// Magic, version, the length of what follows, and a dictionary in Python's syntax with spaces and a line end behind it.
  static func header(shape: [Int]) -> [UInt8] {
    let sizes = shape.map(String.init).joined(separator: ", ") + (shape.count == 1 ? "," : "")
    var text = Array("{'descr': '<f4', 'fortran_order': False, 'shape': (\(sizes)), }".utf8)
    while (magic.count + 2 + text.count + 1) % alignment != 0 { text.append(UInt8(ascii: " ")) }
    text.append(UInt8(ascii: "\n"))
    return magic + withUnsafeBytes(of: UInt16(text.count).littleEndian) { Array($0) } + text
  }
}
