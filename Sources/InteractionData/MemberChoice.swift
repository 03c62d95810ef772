import SystemSupport

/// Which member of an archive is read: the one that is named, or the one whose name the program knows, or the only one.
struct MemberChoice {
  static let knownNames = ["ratings.dat", "u.data", "ratings.csv"]
  static let knownSuffix = ".inter"
  /// So many are named in a message.
  private static let shown = 8

  private let archive: String
  private let typed: String
  private let wanted: [UInt8]?
  private var fitting = List()
  private var files = List()
  private var place = -1

  private struct List {
    var count = 0
    var first: (place: Int, member: ArchiveHandle.Member)?
    var names: [[UInt8]] = []

    mutating func add(_ member: ArchiveHandle.Member, at place: Int) {
      if count == 0 { first = (place, member) }
      if count < MemberChoice.shown { names.append(member.name) }
      count += 1
    }

    var text: String {
      names.map { PrintableText.quoted($0) }.joined(separator: ", ") + (count > names.count ? ", ..." : "")
    }
  }

  /// - Parameters:
  ///   - archive: What messages call it.
  ///   - typed: What users write before the colon.
  init(archive: String, typed: String, wanted: String?) {
    self.archive = archive
    self.typed = typed
    self.wanted = wanted.map { name in
      var bytes = Array(name.utf8)
      while bytes.starts(with: Array("./".utf8)) { bytes.removeFirst(2) }
      return bytes
    }
  }

  /// Looks at the next member. Returns whether it would be the one if nothing came behind it.
  mutating func see(_ member: ArchiveHandle.Member) -> Bool {
    place += 1
    guard member.isFile, wanted != nil || !Self.isBesides(member.name) else { return false }
    files.add(member, at: place)
    let fits = wanted.map { member.name == $0 } ?? Self.isKnown(member.name)
    if fits { fitting.add(member, at: place) }
    return fits ? fitting.count == 1 : wanted == nil && files.count == 1
  }

  /// The member that is read, and its place among all, from 0.
  func chosen() throws(ProgramFailure) -> (place: Int, member: ArchiveHandle.Member) {
    func failure(_ text: String) -> ProgramFailure { ProgramFailure(.badData, "\(archive): \(text)") }
    let example = "as in --data \(typed):\(String(decoding: (fitting.names + files.names).first ?? [], as: UTF8.self))"
    let list = fitting.count > 0 || wanted != nil ? fitting : files
    if files.count == 0 { throw failure("no file is in this archive") }
    switch list.count {
    case 1: break
    case 0:
      throw failure("no file in this archive is called \(PrintableText.quoted(wanted ?? [])); there are \(files.text)")
    default:
      if wanted != nil { throw failure("\(list.count) files in this archive are called \(list.text); unpack it and give the right one") }
      throw failure(
        fitting.count > 0
          ? "\(list.count) files in this archive may be the data: \(list.text); name one behind a colon, \(example)"
          : "none of the \(list.count) files in this archive has a name that is known (\(Self.knownNames.joined(separator: ", ")), "
            + "*\(Self.knownSuffix)): \(list.text); name one behind a colon, \(example)")
    }
    guard let first = list.first else { preconditionFailure("a list of one has a first") }
    if first.member.isEncrypted {
      throw failure(
        "\(list.text) is encrypted, which is not read; unpack the archive with its password and give the file that comes out")
    }
    return first
  }

  /// What macOS puts beside files.
  private static func isBesides(_ name: [UInt8]) -> Bool {
    name.starts(with: Array("__MACOSX/".utf8)) || last(name).starts(with: Array("._".utf8))
      || last(name).elementsEqual(".DS_Store".utf8)
  }

  private static func last(_ name: [UInt8]) -> ArraySlice<UInt8> {
    name[(name.lastIndex(of: UInt8(ascii: "/")).map { $0 + 1 } ?? 0)...]
  }

  private static func isKnown(_ name: [UInt8]) -> Bool {
    let text = PackedNames.withoutCompression(String(decoding: last(name), as: UTF8.self).lowercased())
    return knownNames.contains(text) || text.hasSuffix(knownSuffix)
  }
}
