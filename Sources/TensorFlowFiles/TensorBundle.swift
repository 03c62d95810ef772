import SystemSupport

/// A checkpoint of TensorFlow in its second format (`tf.train.Saver`, since 1.0): PREFIX.index, a sorted table that says what and where each
/// tensor is, and PREFIX.data-00000-of-00001 (or more of them), their numbers as they stand in memory.
///
/// Source: TensorFlow, core/protobuf/tensor_bundle.proto and core/util/tensor_bundle/.
package struct TensorBundle: Sendable {
  /// TensorFlow's numbers of types (core/framework/types.proto).
  package enum DataType: UInt64, Sendable {
    case float = 1
    case int32 = 3
    case int64 = 9

    package var size: Int { self == .int64 ? 8 : 4 }
  }

  package struct Tensor: Sendable, Equatable {
    package let name: String
    /// TensorFlow's number; `DataType` has those that this program reads.
    package let type: UInt64
    package let shape: [Int]
    fileprivate let shard: Int
    fileprivate let offset: Int
    fileprivate let size: Int
    fileprivate let checksum: UInt32
    /// A variable that was saved in parts.
    fileprivate let isSliced: Bool
  }

  package let prefix: String
  /// In the order of their names' bytes.
  package let tensors: [Tensor]
  private let shards: [MappedFile?]
  private let indices: [String: Int]

  package static func indexPath(_ prefix: String) -> String { prefix + ".index" }

  /// Of the path of one of a checkpoint's files, where there are more of it; nil for any other.
  package static func prefix(ofFile path: String) -> String? {
    guard FileSystem.kind(path) == .file,
      let end = [".index", ".data-", ".meta"].compactMap({ path.ranges(of: $0).last?.lowerBound }).max()
    else { return nil }
    let prefix = String(path[..<end])
    return FileSystem.kind(indexPath(prefix)) == .file ? prefix : nil
  }

  static func dataPath(_ prefix: String, shard: Int, of count: Int) -> String {
    func digits(_ number: Int) -> String {
      let text = String(number)
      return String(repeating: "0", count: max(0, 5 - text.count)) + text
    }
    return "\(prefix).data-\(digits(shard))-of-\(digits(count))"
  }

  /// More than any cluster has parameter servers.
  private static let maximumShards = 1000

  /// Opens a checkpoint. Exit code 66 where a file is not there or not readable, 65 where something is wrong with it; a tensor's own
  /// bytes are checked when they are asked for.
  package init(_ prefix: String) throws(ProgramFailure) {
    let indexPath = Self.indexPath(prefix)
    let index = try MappedFile(indexPath)
    let entries = try SortedTable.read(index.bytes, path: indexPath)
    guard let first = entries.first, first.key.isEmpty else {
      throw ProgramFailure(.badData, "\(indexPath): no checkpoint of TensorFlow: it has no header")
    }
    let shardCount = try Self.shardCount(first.value, indexPath)
    var tensors: [Tensor] = []
    var used = Set<Int>()
    for entry in entries.dropFirst() {
      // Slices of variables have keys that are no text; what they belong to says that it is sliced.
      guard let name = String(validating: entry.key, as: UTF8.self), entry.key.first != 0 else { continue }
      let tensor = try Self.tensor(name, entry.value, shardCount: shardCount, indexPath)
      if !tensor.isSliced { used.insert(tensor.shard) }
      tensors.append(tensor)
    }
    var shards: [MappedFile?] = []
    for shard in 0..<shardCount {
      shards.append(used.contains(shard) ? try MappedFile(Self.dataPath(prefix, shard: shard, of: shardCount)) : nil)
    }
    for tensor in tensors where !tensor.isSliced {
      let count = shards[tensor.shard]?.bytes.count ?? 0
      guard tensor.size <= count, tensor.offset <= count - tensor.size else {
        throw ProgramFailure(
          .badData,
          "\(Self.dataPath(prefix, shard: tensor.shard, of: shardCount)) is cut short: \(count) bytes, tensor \"\(tensor.name)\" has "
            + "\(tensor.size) from byte \(tensor.offset)")
      }
    }
    self.prefix = prefix
    self.tensors = tensors
    self.shards = shards
    // Names whose bytes differ may still be the same text.
    indices = Dictionary(tensors.enumerated().map { ($1.name, $0) }, uniquingKeysWith: { first, _ in first })
  }

  package subscript(name: String) -> Tensor? { indices[name].map { tensors[$0] } }

  /// A tensor's bytes, little-endian, row-major, perhaps not aligned; they live as long as this value. Exit code 65 where the tensor has
  /// another type, was saved in parts, or its bytes have not its checksum.
  package func bytes(_ tensor: Tensor, as type: DataType) throws(ProgramFailure) -> UnsafeRawBufferPointer {
    func bad(_ what: String) -> ProgramFailure {
      ProgramFailure(.badData, "\(Self.indexPath(prefix)): tensor \"\(tensor.name)\" \(what)")
    }
    guard tensor.type == type.rawValue else {
      throw bad("has TensorFlow's type \(tensor.type), \(type.rawValue) (\(type)) is needed")
    }
    if tensor.isSliced { throw bad("was saved in slices (a partitioned variable), which this program does not read") }
    var size = type.size
    for dimension in tensor.shape {
      let (product, overflow) = size.multipliedReportingOverflow(by: dimension)
      guard !overflow else { throw bad("has the shape \(tensor.shape), which is too large") }
      size = product
    }
    guard size == tensor.size, let shard = shards[tensor.shard] else {
      throw bad("has the shape \(tensor.shape), which needs \(size) bytes, and has \(tensor.size)")
    }
    let bytes = UnsafeRawBufferPointer(rebasing: shard.bytes[tensor.offset..<(tensor.offset + tensor.size)])
    guard CRC32C.masked(of: bytes) == tensor.checksum else {
      throw ProgramFailure(
        .badData,
        "\(Self.dataPath(prefix, shard: tensor.shard, of: shards.count)) is damaged: the bytes of tensor \"\(tensor.name)\", from byte "
          + "\(tensor.offset), have not their checksum")
    }
    return bytes
  }

  // MARK: The messages

  /// Of `BundleHeaderProto`.
  private static func shardCount(_ message: UnsafeRawBufferPointer, _ path: String) throws(ProgramFailure) -> Int {
    var (shards, endianness) = (UInt64(0), UInt64(0))
    var fields = ProtobufFields(message)
    while let (field, value) = fields.next() {
      switch (field, value) {
      case (1, .varint(let number)): shards = number
      case (2, .varint(let number)): endianness = number
      default: break
      }
    }
    guard !fields.isMalformed, shards >= 1, shards <= maximumShards else {
      throw ProgramFailure(.badData, "\(path) is damaged: its header does not say how many files of data there are")
    }
    guard endianness == 0 else {
      throw ProgramFailure(.badData, "\(path): written by a big-endian machine, which this program does not read")
    }
    return Int(shards)
  }

  /// Of `BundleEntryProto`.
  private static func tensor(
    _ name: String, _ message: UnsafeRawBufferPointer, shardCount: Int, _ path: String
  ) throws(ProgramFailure) -> Tensor {
    func bad(_ what: String) -> ProgramFailure { ProgramFailure(.badData, "\(path) is damaged: tensor \"\(name)\" \(what)") }

    var (type, shard, offset, size, checksum, isSliced) = (UInt64(0), UInt64(0), UInt64(0), UInt64(0), UInt32(0), false)
    var shape: [Int]? = []
    var fields = ProtobufFields(message)
    while let (field, value) = fields.next() {
      switch (field, value) {
      case (1, .varint(let number)): type = number
      case (2, .bytes(let bytes)): shape = Self.shape(bytes)
      case (3, .varint(let number)): shard = number
      case (4, .varint(let number)): offset = number
      case (5, .varint(let number)): size = number
      case (6, .fixed32(let number)): checksum = number
      case (7, .bytes): isSliced = true
      default: break
      }
    }
    guard !fields.isMalformed, let shape else { throw bad("is described by something malformed") }
    guard shard < shardCount, let offset = Int(exactly: offset), let size = Int(exactly: size) else {
      throw bad("has no place in a file of data")
    }
    return Tensor(
      name: name, type: type, shape: shape, shard: Int(shard), offset: offset, size: size, checksum: checksum, isSliced: isSliced)
  }

  /// Of `TensorShapeProto`; nil where it is malformed, or a size is not known.
  private static func shape(_ message: UnsafeRawBufferPointer) -> [Int]? {
    var shape: [Int] = []
    var fields = ProtobufFields(message)
    while let (field, value) = fields.next() {
      guard field == 2, case .bytes(let dimension) = value else { continue }
      var size = UInt64(0)
      var parts = ProtobufFields(dimension)
      while let (field, value) = parts.next() {
        if field == 1, case .varint(let number) = value { size = number }
      }
      guard !parts.isMalformed, let size = Int(exactly: size) else { return nil }
      shape.append(size)
    }
    return fields.isMalformed ? nil : shape
  }
}
