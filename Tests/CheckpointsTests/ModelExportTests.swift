import Checkpoints
import Foundation
import InteractionData
import SystemSupport
import TestSupport
import Testing

@Suite struct ModelExportTests {
  let folder: TemporaryFolder
  let checkpoint: CheckpointReader

  init() throws {
    folder = try TemporaryFolder()
    checkpoint = try CheckpointReader.open(try Example.write(RunFolder(folder.path + "/run"), step: 3))
  }

  private func bytes(_ path: String) throws -> [UInt8] { try FileSystem.read(folder.path + "/" + path) }

  /// The header, and the numbers behind it.
  private func array(_ path: String) throws -> (header: String, values: [Float]) {
    let all = try bytes(path)
    #expect(Array(all[..<8]) == [0x93, 0x4E, 0x55, 0x4D, 0x50, 0x59, 1, 0])
    let length = Int(all[8]) | Int(all[9]) << 8
    #expect((10 + length) % 64 == 0 && all[9 + length] == 0x0A)
    let values = all[(10 + length)...].withUnsafeBytes { bytes in
      (0..<(bytes.count / 4)).map { Float(bitPattern: bytes.loadUnaligned(fromByteOffset: 4 * $0, as: UInt32.self).littleEndian) }
    }
    return (String(decoding: all[10..<(10 + length)], as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines), values)
  }

  @Test func arraysAreTheItemsRows() throws {
    try ModelExport.writeArrays(checkpoint, to: folder.path + "/new/vectors/")
    // Five items, six wide; row 0 is padding, rows 6 to 8 are no items.
    let embeddings = try array("new/vectors/item_embeddings.npy")
    #expect(embeddings.header == "{'descr': '<f4', 'fortran_order': False, 'shape': (5, 6), }")
    #expect(embeddings.values == Array(Example.parameters[(Example.layout.wordEmbeddings + 6)..<(Example.layout.wordEmbeddings + 36)]))
    let bias = try array("new/vectors/item_bias.npy")
    #expect(bias.header == "{'descr': '<f4', 'fortran_order': False, 'shape': (5,), }")
    #expect(bias.values == Array(Example.parameters[(Example.layout.predictionBias + 1)..<(Example.layout.predictionBias + 6)]))
    #expect(try bytes("new/vectors/items.tsv") == FileSystem.read(checkpoint.path + "/items.tsv"))
    #expect(try FileSystem.list(folder.path + "/new") == ["vectors"])
    #expect(try FileSystem.list(folder.path + "/new/vectors") == ["item_bias.npy", "item_embeddings.npy", "items.tsv"])
  }

  /// The checkpoint's own files, byte for byte; a run can begin from them.
  @Test func theHuggingFaceFolder() throws {
    let path = folder.path + "/model"
    try ModelExport.writeHuggingFace(checkpoint, to: path)
    #expect(try FileSystem.list(path) == ["config.json", "items.tsv", "model.safetensors"])
    for name in try FileSystem.list(path) { #expect(try bytes("model/" + name) == FileSystem.read(checkpoint.path + "/" + name)) }
  }

  @Test func nothingIsReplacedAndNothingHalfWritten() throws {
    for taken in ["file", "empty"] {
      let path = folder.path + "/" + taken
      if taken == "file" { _ = try folder.write(taken, "mine") } else { try FileSystem.createDirectories(path) }
      for isArrays in [true, false] {
        do {
          if isArrays {
            try ModelExport.writeArrays(checkpoint, to: path)
          } else {
            try ModelExport.writeHuggingFace(checkpoint, to: path)
          }
          Issue.record("\(taken) was replaced")
        } catch {
          #expect(error.exitCode == .usage && error.message.contains("\(path) exists"))
        }
      }
    }
    do {
      try ModelExport.writeArrays(checkpoint, to: folder.path + "/file/below")
      Issue.record("a file became a folder")
    } catch { #expect(error.exitCode == .disk) }
    #expect(try bytes("file") == Array("mine".utf8))
    #expect(try FileSystem.list(folder.path) == ["empty", "file", "run"])
  }
}
