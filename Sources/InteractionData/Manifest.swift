import Foundation
import SystemSupport

/// `manifest.json` of a prepared folder.
struct Manifest: Codable {
  struct File: Codable, Equatable {
    var size: Int
    var sha256: String
  }

  static let title = "bert4rec-dist data set"
  static let currentVersion = 1
  static let largestSize = 1 << 20

  var format = Manifest.title
  var formatVersion = Manifest.currentVersion
  var name: String
  var fingerprint: String
  var statistics: DatasetStatistics
  var files: [String: File]

  enum CodingKeys: String, CodingKey {
    case format, name, fingerprint, statistics, files
    case formatVersion = "format_version"
  }

  private struct Title: Decodable {
    var format: String
    var formatVersion: Int

    enum CodingKeys: String, CodingKey {
      case format
      case formatVersion = "format_version"
    }
  }

  init(name: String, fingerprint: String, statistics: DatasetStatistics, files: [String: File]) {
    self.name = name
    self.fingerprint = fingerprint
    self.statistics = statistics
    self.files = files
  }

  /// Whether these are the bytes of a manifest, of whatever version.
  static func isOne(_ bytes: [UInt8]) -> Bool {
    (try? JSONDecoder().decode(Title.self, from: Data(bytes)))?.format == title
  }

  static func decode(_ bytes: [UInt8], path: String) throws(Failure) -> Manifest {
    do {
      let version = try JSONDecoder().decode(Title.self, from: Data(bytes)).formatVersion
      guard version == currentVersion else {
        throw Failure(
          .badData, "\(path): format version \(version), this program reads \(currentVersion); prepare the data again")
      }
      let manifest = try JSONDecoder().decode(Manifest.self, from: Data(bytes))
      // The name becomes a folder's.
      guard manifest.name == DatasetName.sanitised(manifest.name.utf8) else {
        throw Failure(.badData, "\(path): \(PrintableText.quoted(manifest.name.utf8)) is no data set's name")
      }
      return manifest
    } catch let failure as Failure {
      throw failure
    } catch {
      throw Failure(.badData, "\(path): not a manifest of a prepared folder: \(error)")
    }
  }

  func encoded() throws(Failure) -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    do { return Array(try encoder.encode(self)) + [0x0A] } catch {
      throw Failure(.internalFault, "cannot encode \(PreparedFolder.manifestName): \(error)")
    }
  }
}
