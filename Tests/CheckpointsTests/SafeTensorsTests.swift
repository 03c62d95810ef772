import Checkpoints
import SystemSupport
import Testing

@Suite struct SafeTensorsTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  /// A file with this header and as many data bytes.
  func file(_ header: String, data: Int, claimedLength: UInt64? = nil) throws -> String {
    let length = claimedLength ?? UInt64(header.utf8.count)
    return try folder.write(
      "x.safetensors",
      withUnsafeBytes(of: length.littleEndian) { Array($0) } + Array(header.utf8) + [UInt8](repeating: 1, count: data))
  }

  @Test func roundTrip() throws {
    let path = folder.path + "/a.safetensors"
    let values: [Float] = (0..<13).map { Float($0) / 7 }
    let record = try values.withUnsafeBufferPointer { buffer in
      try SafeTensors.write(
        path, tensors: [("b", [2, 3]), ("a", [7])],
        data: [UnsafeBufferPointer(rebasing: buffer[..<6]), UnsafeBufferPointer(rebasing: buffer[6...])])
    }
    let file = try SafeTensors(path)
    #expect(file.tensors.map(\.name) == ["b", "a"])
    #expect(file["b"]?.shape == [2, 3])
    #expect(file["a"]?.range == 24..<52)
    #expect(file.metadata == ["format": "pt"])
    #expect(try file.floats("b") == Array(values[..<6]))
    #expect(try file.floats("a") == Array(values[6...]))
    #expect(failure { _ = try file.floats("c") }?.message.contains("\"c\"") == true)

    // The data begins at a multiple of 8 and is the buffers as they stand: the recipe of docs/runs.md for parameter_hash.
    let bytes = try FileSystem.read(path)
    #expect((bytes.count - 52) % 8 == 0)
    #expect(bytes.suffix(52).elementsEqual(values.withUnsafeBytes { Array($0) }))
    #expect(record == FileRecord(sha256: sha256Hex(bytes), bytes: bytes.count))
  }

  @Test func readsOtherTypesButNotAsFloats() throws {
    let path = try file(
      #"{"h":{"dtype":"F16","shape":[3],"data_offsets":[4,10]},"s":{"dtype":"F32","shape":[],"data_offsets":[0,4]},"#
        + #""e":{"dtype":"I64","shape":[0,5],"data_offsets":[10,10]}}"#, data: 10)
    let tensors = try SafeTensors(path)
    #expect(tensors.tensors.map(\.name) == ["s", "h", "e"])
    #expect(try tensors.floats("s").count == 1)
    let error = failure { _ = try tensors.floats("h") }
    #expect(error?.exitCode == .badData)
    #expect(error?.message.contains("F16") == true)
  }

  @Test(arguments: [
    (
      "gap",
      #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"#
        + #""b":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}}"#, 12
    ),
    ("gap", #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#, 8),
    (
      "overlap",
      #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"#
        + #""b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#, 8
    ),
    (
      "overlap",
      #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"#
        + #""b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, 4
    ),
    ("follows the last", #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, 5),
    ("follows the last", "{}", 1),
    ("cut short", #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, 3),
    (
      "twice",
      #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"#
        + #""a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#, 8
    ),
    ("needs 8 bytes", #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}"#, 4),
    ("too large", #"{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}"#, 0),
    ("too large", #"{"a":{"dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,0]}}"#, 0),
    ("shape", #"{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}"#, 4),
    ("shape", #"{"a":{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}}"#, 4),
    ("shape", #"{"a":{"dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,4]}}"#, 4),
    ("data_offsets", #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}"#, 4),
    ("data_offsets", #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,8]}}"#, 4),
    ("data_offsets", #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}}"#, 4),
    ("\"Q4\"", #"{"a":{"dtype":"Q4","shape":[1],"data_offsets":[0,4]}}"#, 4),
    ("exactly", #"{"a":{"dtype":"F32","shape":[1]}}"#, 4),
    ("exactly", #"{"a":3}"#, 4),
    ("__metadata__", #"{"__metadata__":{"format":3}}"#, 0),
    ("__metadata__", #"{"__metadata__":[]}"#, 0),
    ("not a JSON object", "[]", 0),
    ("not JSON", "{", 0),
    ("not JSON", "", 0),
  ])
  func refuses(reason: String, header: String, data: Int) throws {
    let path = try file(header, data: data)
    let error = failure { _ = try SafeTensors(path) }
    #expect(error?.exitCode == .badData)
    #expect(error?.message.contains(reason) == true, "\(error?.message ?? "")")
    #expect(error?.message.hasPrefix(path) == true)
  }

  @Test(arguments: [3, 1000, 100_000_001, 1 << 62, .max] as [UInt64])
  func refusesHeaderLengthsBeyondTheFile(length: UInt64) throws {
    let path = try file("{}", data: 0, claimedLength: length)
    #expect(failure { _ = try SafeTensors(path) }?.exitCode == .badData)
  }

  @Test(arguments: 0..<8)
  func refusesFilesWithoutAHeader(count: Int) throws {
    let path = try folder.write("x.safetensors", [UInt8](repeating: 0, count: count))
    #expect(failure { _ = try SafeTensors(path) }?.exitCode == .badData)
  }

  @Test func missingFilesAndFolders() {
    #expect(failure { _ = try SafeTensors(folder.path + "/none") }?.exitCode == .unreadable)
    #expect(failure { _ = try SafeTensors(folder.path) }?.exitCode == .unreadable)
  }
}
