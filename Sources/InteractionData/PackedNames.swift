/// Names of packed files.
enum PackedNames {
  private static let compressions = [".gz", ".zst", ".xz", ".bz2"]
  private static let archives = [".zip", ".tar", ".tgz", ".tzst", ".txz", ".tbz2", ".tbz"]
  private static let tables = [".csv", ".tsv", ".txt", ".dat", ".data", ".inter", ".json", ".jsonl"]

  /// "ratings.csv" of "ratings.csv.gz".
  static func withoutCompression(_ name: String) -> String { without(compressions, name) ?? name }

  /// A name without its endings: "ratings" of "ratings.csv", "ratings.csv.gz" and "ratings.csv.zip", "v1.0" of "v1.0.zip".
  static func stem(_ name: String) -> String {
    let plain = withoutCompression(name)
    let inner = without(archives, plain) ?? plain
    // An archive is called after what is in it, or any way.
    if inner != plain, without(tables, inner) == nil { return inner }
    guard let dot = inner.utf8.lastIndex(of: UInt8(ascii: ".")) else { return inner }
    return String(inner[..<dot])
  }

  private static func without(_ endings: [String], _ name: String) -> String? {
    let lower = name.lowercased()
    guard let ending = endings.first(where: { lower.hasSuffix($0) && lower.utf8.count == name.utf8.count }) else { return nil }
    let rest = String(decoding: name.utf8.dropLast(ending.utf8.count), as: UTF8.self)
    return rest.isEmpty ? nil : rest
  }
}
