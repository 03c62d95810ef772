import Foundation
import InteractionData
import SystemSupport
import Testing

/// Files of a test, in a folder of its own; all go when the process ends.
struct Scratch {
  private static let root: String = {
    let url = FileManager.default.temporaryDirectory.appendingPathComponent("interactions-\(UUID().uuidString)")
    atexit { try? FileManager.default.removeItem(atPath: Scratch.root) }
    return url.path
  }()

  let folder: String

  init() throws {
    folder = Self.root + "/" + UUID().uuidString
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
  }

  func path(_ name: String) -> String { folder + "/" + name }

  @discardableResult
  func write(_ bytes: [UInt8], _ name: String = "data.txt") throws -> String {
    try Data(bytes).write(to: URL(fileURLWithPath: path(name)))
    return path(name)
  }

  @discardableResult
  func write(_ text: String, _ name: String = "data.txt") throws -> String { try write(Array(text.utf8), name) }

  func read(_ name: String) throws -> [UInt8] { Array(try Data(contentsOf: URL(fileURLWithPath: path(name)))) }

  /// All names there, hidden ones too.
  func names() throws -> [String] { try FileManager.default.contentsOfDirectory(atPath: folder).sorted() }
}

/// A user's id with her items' ids: what a data set comes down to.
struct History: Equatable, CustomStringConvertible {
  let user: String
  let items: [String]

  init(_ user: String, _ items: [String]) {
    self.user = user
    self.items = items
  }

  var description: String { "\(user): \(items.joined(separator: " "))" }
}

extension Dataset {
  var histories: [History] {
    (0..<sequences.userCount).map { user in
      History(
        String(decoding: userIDs[user], as: UTF8.self),
        sequences[user].map { String(decoding: itemIDs[Int($0) - 1], as: UTF8.self) })
    }
  }
}

/// What loading gave and said.
struct Loaded {
  let dataset: Dataset
  let statistics: DatasetStatistics
  var targets: Dataset?
  let log: [String]
  /// All that was said, as one text.
  var said: String { log.joined(separator: "\n") }
  var histories: [History] { dataset.histories }
}

func load(
  _ paths: String..., skipBadRows: Bool = false, format: DataFormat? = nil, columns: String = "", times: String? = nil,
  filters: InteractionFilters = InteractionFilters(), splitTime: Int64? = nil
) throws -> Loaded {
  var log: [String] = []
  let options = LoadingOptions(
    skipBadRows: skipBadRows, format: format, columns: try ColumnChoice(columns, origin: "--columns"),
    timePattern: try times.map { try TimePattern($0, origin: "--time-format") }, filters: filters, splitTime: splitTime)
  let loaded = try DatasetLoader.load(paths, options: options) { log.append($0) }
  return Loaded(dataset: loaded.dataset, statistics: loaded.statistics, targets: loaded.targets, log: log)
}

/// A file with this text.
func load(
  text: String, format: DataFormat? = nil, columns: String = "", times: String? = nil, skipBadRows: Bool = false,
  filters: InteractionFilters = InteractionFilters(), splitTime: Int64? = nil
) throws -> Loaded {
  try load(
    try Scratch().write(text), skipBadRows: skipBadRows, format: format, columns: columns, times: times, filters: filters,
    splitTime: splitTime)
}

/// Histories written `u: a b c; v: d`.
func histories(_ text: String) -> [History] {
  text.split(separator: ";").map { part in
    let sides = part.split(separator: ":", maxSplits: 1).map { $0.trimmingCharacters(in: .whitespaces) }
    return History(sides[0], sides[1].split(separator: " ").map(String.init))
  }
}

/// The failure of something that must fail.
func failure<R>(of body: () throws -> R) -> ProgramFailure {
  do {
    _ = try body()
    Issue.record("nothing failed")
  } catch let failure as ProgramFailure {
    return failure
  } catch {
    Issue.record("another error: \(error)")
  }
  return ProgramFailure(.success, "")
}

/// Real data beside the project, which is not part of it.
enum RealData {
  static func path(_ name: String) -> String { "../shared/data/" + name }
  static func isThere(_ name: String) -> Bool { FileManager.default.fileExists(atPath: path(name)) }
}
