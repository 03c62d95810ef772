import SystemSupport

/// A data set's name, which also names folders: characters of `[A-Za-z0-9._-]` only.
enum DatasetName {
  static let longest = 100

  /// From a file's name without its extension ("ml-1m"), or that of a file in an archive; "data" if nothing is left.
  static func from(path: String) -> String {
    sanitised(PackedNames.stem(FileSystem.lastComponent(of: InputPaths.member(of: path)?.member ?? path)).utf8)
  }

  static func sanitised(_ name: some Sequence<UInt8>) -> String {
    var text: [UInt8] = []
    for byte in name {
      let kept = isAllowed(byte) ? byte : UInt8(ascii: "-")
      // Runs of other characters become one dash.
      if !isAllowed(byte), text.last == kept { continue }
      text.append(kept)
    }
    func isEdge(_ byte: UInt8) -> Bool { byte == UInt8(ascii: "-") || byte == UInt8(ascii: ".") }
    let trimmed = text.drop(while: isEdge).prefix(longest)
    let end = trimmed.lastIndex { !isEdge($0) }.map { $0 + 1 } ?? trimmed.startIndex
    let kept = trimmed[..<end]
    return kept.isEmpty ? "data" : String(decoding: kept, as: UTF8.self)
  }

  private static func isAllowed(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
      true
    default: false
    }
  }
}
