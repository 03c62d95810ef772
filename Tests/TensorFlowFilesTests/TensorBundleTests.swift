import SystemSupport
import TensorFlowFiles
import TestSupport
import Testing

@Suite struct TensorBundleTests {
  private let folder: TemporaryFolder
  private let floats: [Float] = [1, -2.5, .greatestFiniteMagnitude, .leastNonzeroMagnitude, 0, -0.0]
  private var prefix: String { folder.path + "/model.ckpt-7" }

  init() throws {
    folder = try TemporaryFolder()
    let prefix = folder.path + "/model.ckpt-7"
    let step = [Int64(7)]
    try floats.withUnsafeBytes { floats in
      try step.withUnsafeBytes { step in
        try TensorBundle.write(
          prefix,
          [
            .init("global_step", .int64, [], step), .init("b/kernel", .float, [2, 3], floats),
            .init("b/bias", .float, [6], floats), .init("empty", .float, [0, 4], UnsafeRawBufferPointer(start: nil, count: 0)),
          ])
      }
    }
  }

  private func values(_ name: String, _ bundle: TensorBundle) throws -> [UInt32] {
    let bytes = try bundle.bytes(#require(bundle[name]), as: .float)
    return stride(from: 0, to: bytes.count, by: 4).map { bytes.loadUnaligned(fromByteOffset: $0, as: UInt32.self) }
  }

  @Test func readAsWritten() throws {
    let bundle = try TensorBundle(prefix)
    #expect(bundle.tensors.map(\.name) == ["b/bias", "b/kernel", "empty", "global_step"])
    #expect(bundle.tensors.map(\.shape) == [[6], [2, 3], [0, 4], []])
    for name in ["b/bias", "b/kernel"] { #expect(try values(name, bundle) == floats.map(\.bitPattern)) }
    #expect(try values("empty", bundle) == [])
    #expect(try bundle.bytes(#require(bundle["global_step"]), as: .int64).loadUnaligned(as: Int64.self) == 7)
    #expect(bundle["absent"] == nil)
    #expect(throws: ProgramFailure.self) { try bundle.bytes(#require(bundle["global_step"]), as: .float) }
  }

  @Test func everyDamagedByteIsNoticed() throws {
    for name in [".index", ".data-00000-of-00001"] {
      let good = try FileSystem.read(prefix + name)
      var unnoticed = 0
      for place in good.indices {
        var damaged = good
        damaged[place] ^= 0x12
        try FileSystem.writeDurably(prefix + name, damaged)
        do {
          let bundle = try TensorBundle(prefix)
          for tensor in bundle.tensors { _ = try bundle.bytes(tensor, as: tensor.name == "global_step" ? .int64 : .float) }
          unnoticed += 1
        } catch {
          #expect(error.exitCode == .badData && error.message.contains(prefix))
        }
      }
      #expect(unnoticed < (name == ".index" ? SortedTableTests.unused : 1))
      try FileSystem.writeDurably(prefix + name, Array(good.dropLast()))
      #expect(throws: ProgramFailure.self) { try TensorBundle(prefix) }
      try FileSystem.writeDurably(prefix + name, good)
    }
    try FileSystem.removeRecursively(prefix + ".data-00000-of-00001")
    do {
      _ = try TensorBundle(prefix)
      Issue.record("nothing failed")
    } catch { #expect(error.exitCode == .unreadable) }
  }

  @Test func aFileLeadsToItsPrefix() {
    for name in [".index", ".data-00000-of-00001"] { #expect(TensorBundle.prefix(ofFile: prefix + name) == prefix) }
    #expect(TensorBundle.prefix(ofFile: prefix) == nil && TensorBundle.prefix(ofFile: folder.path) == nil)
  }
}
