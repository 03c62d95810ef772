import SystemSupport

/// The folder that `prepare` writes: `manifest.json`, `items.tsv`, `users.tsv` and `sequences.bin`.
package enum PreparedFolder {
  static let manifestName = "manifest.json"
  static let itemsName = "items.tsv"
  static let usersName = "users.tsv"
  static let sequencesName = "sequences.bin"
  static let contents = [itemsName, usersName, sequencesName]

  /// Whether a path is a folder with a manifest of ours; whether all is well with it, `open` finds out.
  package static func isPreparedFolder(_ path: String) -> Bool {
    guard FileSystem.kind(path) == .directory, FileSystem.kind(path + "/" + manifestName) == .file,
      let bytes = try? FileSystem.read(path + "/" + manifestName, limit: Manifest.largestSize)
    else { return false }
    return Manifest.isOne(bytes)
  }

  /// Whether `write` may write there: nothing stands at the path, or a prepared folder and nothing but one.
  package static func checkTarget(_ path: String) throws(ProgramFailure) {
    guard !path.isEmpty else { throw ProgramFailure(.usage, "the output folder's name is empty") }
    guard FileSystem.exists(path) else { return }
    guard isPreparedFolder(path) else {
      throw ProgramFailure(
        .usage,
        "\(path) exists and is not a prepared folder, so it is not replaced; remove it or give another folder")
    }
    let known = contents + [manifestName]
    if let other = try FileSystem.list(path).first(where: { !known.contains($0) }) {
      throw ProgramFailure(
        .usage,
        "\(path) holds \(PrintableText.quoted(other.utf8)) besides a prepared data set, so it is not replaced; "
          + "give another folder")
    }
  }

  /// Writes a folder; one that stands there is replaced when the new one is complete. Fails with exit code 64 when
  /// something else stands there, 74 when the disk does not take it; nothing half-written stays.
  package static func write(_ loaded: LoadedDataset, to path: String) throws(ProgramFailure) {
    try checkTarget(path)
    let target = FileSystem.resolved(path)
    try FileSystem.createDirectories(FileSystem.parent(of: target))
    let temporary = FileSystem.hiddenName(beside: target, "tmp")
    do throws(ProgramFailure) {
      try FileSystem.removeRecursively(temporary)
      try FileSystem.createDirectories(temporary)
      try writeFiles(loaded, to: temporary)
      try FileSystem.syncDirectory(temporary)
      // Once more, at the last moment: reading the input may have taken minutes.
      try checkTarget(target)
      try FileSystem.replaceFolder(target, by: temporary, aside: FileSystem.hiddenName(beside: target, "old"))
    } catch {
      try? FileSystem.removeRecursively(temporary)
      throw error
    }
  }

  private static func manifest(of path: String) throws(ProgramFailure) -> Manifest {
    let manifestPath = path + "/" + manifestName
    return try Manifest.decode(FileSystem.read(manifestPath, limit: Manifest.largestSize), path: manifestPath)
  }

  /// The data set's name, which `open` also gives.
  static func name(of path: String) throws(ProgramFailure) -> String { try manifest(of: path).name }

  /// Opens a folder and checks all of it: sizes, checksums, ids, offsets, values, fingerprint. Fails with exit code
  /// 65 when something is wrong, 66 when a file is not there.
  package static func open(_ path: String) throws(ProgramFailure) -> LoadedDataset {
    let manifest = try manifest(of: path)
    func mapped(_ name: String) throws(ProgramFailure) -> MappedFile {
      let file = try MappedFile(path + "/" + name)
      guard let record = manifest.files[name], record.size == file.bytes.count, record.sha256 == sha256Hex(file.bytes)
      else {
        throw ProgramFailure(
          .badData,
          "\(path)/\(name) is not the file that \(manifestName) describes (size or checksum differs); write the "
            + "folder again with prepare")
      }
      return file
    }
    let advice = "; the folder is damaged, write it again with prepare"
    let itemsFile = try mapped(itemsName)
    let (items, itemCounts) = try ItemTable.decode(itemsFile.bytes, path: "\(path)/\(itemsName)", advice: advice)
    // By frequency, as `prepare` numbers them.
    guard zip(itemCounts, itemCounts.dropFirst()).allSatisfy({ $0 >= $1 }), itemCounts.last ?? 1 > 0, !hasEmpty(items) else {
      throw ProgramFailure(.badData, "\(path)/\(itemsName): an empty id, or items that do not stand in the order of their counts\(advice)")
    }
    let usersFile = try mapped(usersName)
    let users = try UserTable.decode(usersFile.bytes, path: "\(path)/\(usersName)", advice: advice)
    if hasEmpty(users) { throw ProgramFailure(.badData, "\(path)/\(usersName): an empty id\(advice)") }
    let sequences = try SequencesFile.open(
      mapped(sequencesName), path: "\(path)/\(sequencesName)", itemCounts: itemCounts)
    let dataset = Dataset(
      name: manifest.name, itemIDs: items, itemCounts: itemCounts, userIDs: users, sequences: sequences)
    let statistics = manifest.statistics
    guard users.count == sequences.userCount, dataset.fingerprint == manifest.fingerprint,
      statistics.users == users.count, statistics.items == items.count,
      statistics.interactions == sequences.interactionCount
    else {
      throw ProgramFailure(.badData, "\(path): its files do not fit each other; write the folder again with prepare")
    }
    return LoadedDataset(dataset: dataset, statistics: statistics)
  }

  private static func hasEmpty(_ ids: ExternalIDs) -> Bool { (0..<ids.count).contains { ids[$0].isEmpty } }

  private static func writeFiles(_ loaded: LoadedDataset, to folder: String) throws(ProgramFailure) {
    let dataset = loaded.dataset
    var files: [String: Manifest.File] = [:]
    func write(_ name: String, _ parts: [UnsafeRawBufferPointer]) throws(ProgramFailure) {
      var hasher = SHA256Hasher()
      for part in parts { hasher.update(part) }
      files[name] = .init(size: parts.reduce(0) { $0 + $1.count }, sha256: hasher.hexDigest())
      try FileSystem.writeDurably("\(folder)/\(name)", parts)
    }
    func write(_ name: String, _ bytes: [UInt8]) throws(ProgramFailure) {
      let result = bytes.withUnsafeBytes { buffer in Result { () throws(ProgramFailure) in try write(name, [buffer]) } }
      try result.get()
    }
    try write(itemsName, ItemTable.encode(ids: dataset.itemIDs, counts: dataset.itemCounts))
    try write(usersName, UserTable.encode(dataset.userIDs))
    let header = SequencesFile.header(
      users: dataset.sequences.userCount, interactions: dataset.sequences.interactionCount, items: dataset.itemCount)
    let result = header.withUnsafeBytes { header in
      dataset.sequences.withStorage { offsets, values in
        Result { () throws(ProgramFailure) in
          try write(sequencesName, [header, UnsafeRawBufferPointer(offsets), UnsafeRawBufferPointer(values)])
        }
      }
    }
    try result.get()
    let manifest = Manifest(
      name: dataset.name, fingerprint: dataset.fingerprint, statistics: loaded.statistics, files: files)
    try FileSystem.writeDurably("\(folder)/\(manifestName)", manifest.encoded())
  }
}
