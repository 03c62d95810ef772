import SystemSupport

/// `manifest.json` of a prepared folder.
struct Manifest {
  struct File: Equatable {
    var size: Int
    var sha256: String
  }

  static let title = "bert4rec-dist data set"
  static let currentVersion = 1
  static let largestSize = 1 << 20

  var name: String
  var fingerprint: String
  var statistics: DatasetStatistics
  var files: [String: File]

  /// Whether these are the bytes of a manifest, of whatever version.
  static func isOne(_ bytes: [UInt8]) -> Bool {
    guard let json = try? JSON.parse(bytes) else { return false }
    return json["format"]?.string == title && json["format_version"]?.int != nil
  }

  /// Fails with exit code 65 for what is no manifest, or one of another version.
  static func decode(_ bytes: [UInt8], path: String) throws(ProgramFailure) -> Manifest {
    let json: JSON
    do throws(JSONError) { json = try JSON.parse(bytes) } catch {
      throw ProgramFailure(.badData, "\(path): not a manifest of a prepared folder: \(error)")
    }
    let fields = JSONFields(json, path: path)
    let version = try fields.int("format_version")
    guard version == currentVersion else {
      throw ProgramFailure(
        .badData, "\(path): format version \(version), this program reads \(currentVersion); prepare the data again")
    }
    let name = try fields.string("name")
    // The name becomes a folder's.
    guard name == DatasetName.sanitised(name.utf8) else {
      throw ProgramFailure(.badData, "\(path): \(PrintableText.quoted(name.utf8)) is no data set's name")
    }
    return Manifest(
      name: name, fingerprint: try fields.string("fingerprint"), statistics: try DatasetStatistics(fields.fields("statistics")),
      files: try fields.each("files") { (files, name) throws(ProgramFailure) in
        let file = try files.fields(name)
        return File(size: try file.int("size"), sha256: try file.string("sha256"))
      })
  }

  func encoded() -> [UInt8] {
    let json: JSON = [
      "format": .string(Self.title), "format_version": .integer(Self.currentVersion), "name": .string(name),
      "fingerprint": .string(fingerprint), "statistics": statistics.json,
      "files": .object(
        files.sorted { $0.key < $1.key }.map { name, file in
          JSON.Member(name, ["size": .integer(file.size), "sha256": .string(file.sha256)])
        }),
    ]
    return Array((json.pretty + "\n").utf8)
  }
}
