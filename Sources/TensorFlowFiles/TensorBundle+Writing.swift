import SystemSupport

#if _endian(big)
  #error("the data of TensorFlow's checkpoints are little-endian; the buffers are written as they stand")
#endif

extension TensorBundle {
  /// A tensor to be written: `bytes` are little-endian, row-major, as many as the shape needs.
  package struct Content {
    let name: String
    let type: DataType
    let shape: [Int]
    let bytes: UnsafeRawBufferPointer

    package init(_ name: String, _ type: DataType, _ shape: [Int], _ bytes: UnsafeRawBufferPointer) {
      precondition(bytes.count == shape.reduce(type.size, *), "the data do not have the shape's size")
      (self.name, self.type, self.shape, self.bytes) = (name, type, shape, bytes)
    }
  }

  /// Writes PREFIX.index and PREFIX.data-00000-of-00001 and forces both to the disk. Exit code 74 where it does not take them.
  package static func write(_ prefix: String, _ tensors: [Content]) throws(ProgramFailure) {
    let tensors = tensors.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
    var entries: [(key: [UInt8], value: [UInt8])] = [([], header)]
    var offset = 0
    for tensor in tensors {
      var entry = ProtobufMessage()
      entry.add(1, varint: tensor.type.rawValue)
      entry.add(2, shape(tensor.shape))
      // Zero is what a field is that is left out.
      if offset > 0 { entry.add(4, varint: UInt64(offset)) }
      if !tensor.bytes.isEmpty { entry.add(5, varint: UInt64(tensor.bytes.count)) }
      entry.add(6, fixed32: CRC32C.masked(of: tensor.bytes))
      entries.append((Array(tensor.name.utf8), entry.bytes))
      offset += tensor.bytes.count
    }
    try FileSystem.writeDurably(dataPath(prefix, shard: 0, of: 1), tensors.map(\.bytes))
    try FileSystem.writeDurably(indexPath(prefix), SortedTable.file(entries))
  }

  /// `BundleHeaderProto`: one file of data, little-endian (which is 0 and left out), `VersionDef` with producer 1.
  private static var header: [UInt8] {
    var version = ProtobufMessage()
    version.add(1, varint: 1)
    var header = ProtobufMessage()
    header.add(1, varint: 1)
    header.add(3, version.bytes)
    return header.bytes
  }

  private static func shape(_ sizes: [Int]) -> [UInt8] {
    var shape = ProtobufMessage()
    for size in sizes {
      var dimension = ProtobufMessage()
      dimension.add(1, varint: UInt64(size))
      shape.add(2, dimension.bytes)
    }
    return shape.bytes
  }
}
