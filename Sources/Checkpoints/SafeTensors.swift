import SystemSupport

/// A safetensors file, read-only, mapped into memory; everything in its header is checked before anything is believed.
///
/// Layout: 8 bytes of little-endian header length, that many bytes of JSON, then the data, which the tensors' offsets
/// (relative to the end of the header) tile without a gap or an overlap. Source: github.com/huggingface/safetensors,
/// "Format".
package struct SafeTensors: Sendable {
  package struct Tensor: Sendable, Equatable {
    package let name: String
    /// As the file has it, such as "F32".
    package let type: String
    package let shape: [Int]
    /// Bytes of the data section.
    package let range: Range<Int>

    /// Elements.
    package var count: Int { shape.reduce(1, *) }
  }

  package let path: String
  /// In the order of their data.
  package let tensors: [Tensor]
  package let metadata: [String: String]
  /// The whole data section. It lives as long as this value.
  package var data: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: file.bytes[dataStart...]) }
  /// Bytes of the whole file.
  package var fileSize: Int { file.bytes.count }

  private let file: MappedFile
  private let dataStart: Int
  private let indices: [String: Int]

  package static let maximumHeaderLength = 100_000_000

  /// Opens and checks a file. Exit code 66 where it cannot be read, 65 where it is not what it should be.
  package init(_ path: String) throws(ProgramFailure) {
    guard FileSystem.kind(path) != .directory else { throw ProgramFailure(.unreadable, "cannot read \(path): Is a directory") }
    let file = try MappedFile(path)
    let bytes = file.bytes
    guard bytes.count >= 8 else {
      throw ProgramFailure(.badData, "\(path): not a safetensors file: \(bytes.count) bytes, too few for a header")
    }
    let length = UInt64(littleEndian: bytes.loadUnaligned(as: UInt64.self))
    guard length <= Self.maximumHeaderLength, Int(length) <= bytes.count - 8 else {
      throw ProgramFailure(
        .badData,
        "\(path): not a safetensors file, or cut short: a header of \(length) bytes in a file of \(bytes.count) bytes"
          + " (at most \(Self.maximumHeaderLength) are allowed)")
    }
    let header = UnsafeRawBufferPointer(rebasing: bytes[8..<(8 + Int(length))])

    let (tensors, metadata) = try Self.parseHeader(header, path)
    try Self.checkTiling(tensors, dataCount: bytes.count - 8 - header.count, path)
    self.path = path
    self.file = file
    dataStart = 8 + header.count
    self.tensors = tensors
    self.metadata = metadata
    indices = Dictionary(uniqueKeysWithValues: tensors.enumerated().map { ($1.name, $0) })
  }

  /// SHA-256 of the file, and where wanted of its data section.
  package func digests(ofData: Bool) throws(ProgramFailure) -> (file: String, data: String?) {
    let digests = try sha256Hexes(file, [0..<fileSize] + (ofData ? [dataStart..<fileSize] : []))
    return (digests[0], ofData ? digests[1] : nil)
  }

  /// Copies bytes of the data section, which are let go of afterwards (`MappedFile.readOnce`).
  package func copy(_ range: Range<Int>, to target: UnsafeMutableRawPointer) {
    precondition(range.lowerBound >= 0 && range.upperBound <= fileSize - dataStart)
    file.copy(dataStart + range.lowerBound..<dataStart + range.upperBound, to: target)
  }

  package subscript(name: String) -> Tensor? { indices[name].map { tensors[$0] } }

  /// Elements of a float tensor, row-major. Exit code 65 where there is none of this name or it has another type.
  package func floats(_ name: String) throws(ProgramFailure) -> [Float] {
    guard let tensor = self[name] else { throw ProgramFailure(.badData, "\(path): no tensor \"\(name)\"") }
    guard tensor.type == "F32" else {
      throw ProgramFailure(.badData, "\(path): tensor \"\(name)\" has type \(tensor.type), F32 is needed")
    }
    return [Float](unsafeUninitializedCapacity: tensor.count) { buffer, count in
      UnsafeMutableRawBufferPointer(buffer).copyMemory(from: UnsafeRawBufferPointer(rebasing: data[tensor.range]))
      count = tensor.count
    }
  }

  // MARK: Checks

  private static let typeSizes = [
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "U16": 2, "I16": 2, "F16": 2, "BF16": 2, "U32": 4,
    "I32": 4, "F32": 4, "U64": 8, "I64": 8, "F64": 8,
  ]

  private static func parseHeader(
    _ header: UnsafeRawBufferPointer, _ path: String
  ) throws(ProgramFailure) -> (tensors: [Tensor], metadata: [String: String]) {
    let json: JSON
    do throws(JSONError) { json = try JSON.parse(header) } catch {
      throw ProgramFailure(.badData, "\(path): the header is not JSON: \(error)")
    }
    guard let members = json.members else { throw ProgramFailure(.badData, "\(path): the header is not a JSON object") }

    var tensors: [Tensor] = []
    var metadata: [String: String] = [:]
    for member in members {
      if member.key == "__metadata__" {
        for entry in member.value.members ?? [] { metadata[entry.key] = entry.value.string }
        guard metadata.count == member.value.members?.count else {
          throw ProgramFailure(.badData, "\(path): __metadata__ is not an object of strings")
        }
      } else {
        tensors.append(try parseTensor(member, path))
      }
    }
    tensors.sort { ($0.range.lowerBound, $0.range.upperBound) < ($1.range.lowerBound, $1.range.upperBound) }
    return (tensors, metadata)
  }

  private static func parseTensor(_ member: JSON.Member, _ path: String) throws(ProgramFailure) -> Tensor {
    func bad(_ what: String) -> ProgramFailure { ProgramFailure(.badData, "\(path): tensor \"\(member.key)\": \(what)") }

    guard let fields = member.value.members, Set(fields.map(\.key)) == ["dtype", "shape", "data_offsets"] else {
      throw bad("not described by exactly dtype, shape and data_offsets")
    }
    guard let type = member.value["dtype"]?.string else { throw bad("dtype is not a string") }
    guard let elementSize = typeSizes[type] else { throw bad("the dtype \"\(type)\" is not known") }
    guard let shape = nonNegativeIntegers(member.value["shape"]) else { throw bad("shape is not a list of sizes") }
    guard let offsets = nonNegativeIntegers(member.value["data_offsets"]), offsets.count == 2, offsets[0] <= offsets[1]
    else { throw bad("data_offsets is not a begin and an end") }

    var size = elementSize
    for dimension in shape {
      let (product, overflow) = size.multipliedReportingOverflow(by: dimension)
      guard !overflow else { throw bad("the shape \(shape) is too large") }
      size = product
    }
    guard size == offsets[1] - offsets[0] else {
      throw bad("shape \(shape) of \(type) needs \(size) bytes, data_offsets give \(offsets[1] - offsets[0])")
    }
    return Tensor(name: member.key, type: type, shape: shape, range: offsets[0]..<offsets[1])
  }

  private static func nonNegativeIntegers(_ json: JSON?) -> [Int]? {
    guard let values = json?.elements else { return nil }
    let integers = values.compactMap(\.int)
    return integers.count == values.count && integers.allSatisfy { $0 >= 0 } ? integers : nil
  }

  private static func checkTiling(_ tensors: [Tensor], dataCount: Int, _ path: String) throws(ProgramFailure) {
    var end = 0
    for tensor in tensors {
      guard tensor.range.lowerBound == end else {
        let what = tensor.range.lowerBound > end ? "a gap before it" : "it overlaps the one before it"
        throw ProgramFailure(
          .badData,
          "\(path): tensor \"\(tensor.name)\" begins at byte \(tensor.range.lowerBound) of the data, not at \(end): "
            + what)
      }
      end = tensor.range.upperBound
    }
    guard end == dataCount else {
      throw ProgramFailure(
        .badData,
        "\(path): \(dataCount) bytes of data, the tensors have \(end): "
          + (dataCount < end ? "the file is cut short" : "something follows the last tensor"))
    }
  }
}
