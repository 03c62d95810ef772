import BERT4RecDist
import Glibc

/// The files of `evaluate --trec`: what was recommended (run.txt), and what should have been (qrels.txt), in the users' order.
final class TRECFolder {
  /// Places of a list for a held-out item.
  static let depth = 100

  private let folder: NewFolder
  private let itemIDs: ExternalIDs
  private var run: TextFile
  private var judgements: TextFile

  init(_ path: String, itemIDs: ExternalIDs) throws(ProgramFailure) {
    folder = try NewFolder(path)
    self.itemIDs = itemIDs
    do throws(ProgramFailure) {
      run = try TextFile(folder.path + "/run.txt")
      judgements = try TextFile(folder.path + "/qrels.txt")
    } catch {
      folder.discard()
      throw error
    }
  }

  /// The next user's list and the external ids of what should be in it, each once.
  func add(_ user: ArraySlice<UInt8>, _ list: RecommendationList, targets: [ArraySlice<UInt8>]) throws(ProgramFailure) {
    try TRECText.appendRun(user, list, itemIDs, to: &run.text)
    for target in targets { try TRECText.appendJudgement(user, item: target, to: &judgements.text) }
    try run.writeIfLong()
    try judgements.writeIfLong()
  }

  func complete() throws(ProgramFailure) {
    try run.finish()
    try judgements.finish()
    try folder.complete()
  }

  func discard() { folder.discard() }
}

/// A file that is written piece by piece and forced to the disk at the end.
private struct TextFile: ~Copyable {
  var text: [UInt8] = []
  private let path: String
  private let descriptor: Int32

  init(_ path: String) throws(ProgramFailure) {
    self.path = path
    descriptor = try FileSystem.writing { () throws(SystemError) in
      try systemCall("open", path) { open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666) }
    }
  }

  deinit { Glibc.close(descriptor) }

  mutating func writeIfLong() throws(ProgramFailure) { if text.count > 1 << 20 { try write() } }

  private mutating func write() throws(ProgramFailure) {
    let result = text.withUnsafeBytes { bytes in
      Result { () throws(ProgramFailure) in
        try FileSystem.writing { () throws(SystemError) in try FileSystem.writeAll(descriptor, bytes, path) }
      }
    }
    try result.get()
    text.removeAll(keepingCapacity: true)
  }

  mutating func finish() throws(ProgramFailure) {
    try write()
    try FileSystem.writing { () throws(SystemError) in _ = try systemCall("fsync", path) { fsync(descriptor) } }
  }
}
