import Glibc
import SystemSupport

/// Plain pairs `user item`, what SASRec and the original BERT4Rec read: users in order of first appearance, each
/// user's items in time order, external ids with their bytes unchanged. One space stands between; a tab where an id
/// of the line holds a space.
package enum PairsFile {
  /// Whether `write` may write there: nothing stands at the path, or a file, a pipe or a device.
  package static func checkTarget(_ path: String) throws(ProgramFailure) {
    guard !path.isEmpty else { throw ProgramFailure(.usage, "the name of the file for the pairs is empty") }
    if FileSystem.kind(path) == .directory || path.hasSuffix("/") {
      throw ProgramFailure(.usage, "\(path) is a folder; give the name of a file for the pairs")
    }
  }

  /// Writes all or nothing (into a pipe or a device: straight). Fails with exit code 65 where ids cannot be written
  /// so that reading the file gives the same data set, 74 when the disk does not take it.
  package static func write(_ dataset: Dataset, to path: String) throws(ProgramFailure) {
    try checkTarget(path)
    let userHasSpace = try spaces(dataset.userIDs, "user")
    let itemHasSpace = try spaces(dataset.itemIDs, "item")
    let target = FileSystem.resolved(path)
    if FileSystem.kind(target) == .other { return try write(dataset, userHasSpace, itemHasSpace, to: target) }
    try FileSystem.createDirectories(FileSystem.parent(of: target))
    try FileSystem.replaceFile(target, temporary: FileSystem.hiddenName(beside: target, "tmp")) { (temporary) throws(ProgramFailure) in
      try write(dataset, userHasSpace, itemHasSpace, to: temporary)
      try checkReadable(temporary, path)
    }
  }

  /// Which ids hold a space.
  private static func spaces(_ ids: ExternalIDs, _ what: String) throws(ProgramFailure) -> [Bool] {
    var result: [Bool] = []
    result.reserveCapacity(ids.count)
    for index in 0..<ids.count {
      let id = ids[index]
      if id.isEmpty || id.contains(where: { $0 == 0x09 || $0 == 0x0A || $0 == 0x0D }) {
        throw ProgramFailure(
          .badData,
          "the id of \(what) \(PrintableText.quoted(id)) holds a tab or a line end (or nothing), which a file "
            + "of pairs cannot carry; rename it in the input")
      }
      result.append(id.contains(0x20))
    }
    return result
  }

  private static func write(
    _ dataset: Dataset, _ userHasSpace: [Bool], _ itemHasSpace: [Bool], to path: String
  ) throws(ProgramFailure) {
    try FileSystem.writing { () throws(SystemError) in
      let descriptor = try systemCall("open", path) { open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666) }
      do throws(SystemError) {
        var buffer = GrowableStorage<UInt8>(capacity: 1 << 20)
        for user in 0..<dataset.sequences.userCount {
          let userID = dataset.userIDs[user]
          for item in dataset.sequences[user] {
            let index = Int(item) - 1
            append(userID, to: &buffer)
            buffer.append(userHasSpace[user] || itemHasSpace[index] ? 0x09 : 0x20)
            append(dataset.itemIDs[index], to: &buffer)
            buffer.append(0x0A)
            if buffer.count >= 1 << 19 {
              try FileSystem.writeAll(descriptor, UnsafeRawBufferPointer(buffer.elements), path)
              buffer.removeAll()
            }
          }
        }
        try FileSystem.writeAll(descriptor, UnsafeRawBufferPointer(buffer.elements), path)
        // Pipes and devices have nothing to force to a disk.
        if FileSystem.kind(path) == .file { try systemCall("fsync", path) { fsync(descriptor) } }
      } catch {
        close(descriptor)
        throw error
      }
      try systemCall("close", path) { close(descriptor) }
    }
  }

  private static func append(_ id: ArraySlice<UInt8>, to buffer: inout GrowableStorage<UInt8>) {
    id.withUnsafeBufferPointer { bytes in
      if let first = bytes.baseAddress { buffer.append(first, count: bytes.count) }
    }
  }

  /// Ids can be such that the first lines look like something else, such as a header or a byte-order mark.
  private static func checkReadable(_ temporary: String, _ path: String) throws(ProgramFailure) {
    var input: InputBytes?
    var layout: FileLayout?
    do throws(ProgramFailure) {
      let opened = try InputBytes(temporary)
      (input, layout) = (opened, try LayoutDetection.detect(opened))
    } catch { layout = nil }
    guard case .table(let table)? = layout, table.separator == .pairs, !table.hasHeader,
      table.roles == ColumnRoles(user: 0, item: 1), let input, input.packing == nil, input.body.count == input.bytes.count
    else {
      throw ProgramFailure(
        .badData,
        "\(path): the first ids look like something else than pairs (\(layout?.title ?? "no known layout")), so "
          + "that the file could not be read back; rename them in the input")
    }
  }
}
