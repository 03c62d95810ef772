import SystemSupport

/// The titles of a catalogue's items, as a file's rows give them one after the other, and what is wrong with rows.
struct FoundTitles {
  private let file: String
  private let index: ItemIndex
  /// An id of the catalogue, for messages.
  private let known: String
  private var titles: [[UInt8]?]
  private var (rowCount, badCount, otherCount) = (0, 0, 0)
  private var firstBad: String?
  private var someID: [UInt8] = []

  init(_ file: String, _ catalogue: ExternalIDs) {
    self.file = file
    index = ItemIndex(catalogue)
    known = catalogue.count > 0 ? PrintableText.quoted(catalogue[0]) : "none"
    titles = [[UInt8]?](repeating: nil, count: catalogue.count)
  }

  private mutating func count() {
    if rowCount & 0xFFFF == 0 { Liveness.tick() }
    rowCount += 1
  }

  /// A row's item and its title. Where another row has given the item a title, that one counts.
  mutating func add(_ id: UnsafeRawBufferPointer, _ bytes: UnsafeRawBufferPointer) {
    count()
    if someID.isEmpty { someID = Array(id) }
    guard let item = index.item(id) else { return }
    let title = Self.text(bytes)
    if let before = titles[Int(item) - 1] {
      if before != title { otherCount += 1 }
    } else {
      titles[Int(item) - 1] = title
    }
  }

  /// A row that cannot be read.
  mutating func note(_ problem: String, _ line: Int, _ text: UnsafeRawBufferPointer) {
    count()
    badCount += 1
    if firstBad == nil { firstBad = "\(file):\(line): \(PrintableText.quoted(text)): \(problem)" }
  }

  /// Of each item of the catalogue, nil where the file has none. Exit code 65 where more than 1 % of the rows cannot be read, and
  /// where none of the items is known.
  func take(log: (String) -> Void) throws(ProgramFailure) -> [[UInt8]?] {
    if let firstBad {
      if badCount * 100 > rowCount {
        throw ProgramFailure(.badData, "\(firstBad); \(badCount) of \(rowCount) rows are such: correct the file")
      }
      log("\(firstBad); \(badCount) of \(rowCount) rows are left out")
    }
    if otherCount > 0 { log("\(file): \(otherCount) rows give an item another title than an earlier one, which counts") }
    guard titles.contains(where: { $0 != nil }) else {
      throw ProgramFailure(
        .badData,
        "\(file): none of its items is one of the model's: its ids are such as \(PrintableText.quoted(someID)), the model's such as "
          + "\(known); give the file whose ids the model was trained on")
    }
    return titles
  }

  /// A title that is not UTF-8 is in ISO 8859-1, as MovieLens' are. Control characters, which no title needs, become spaces.
  private static func text(_ bytes: UnsafeRawBufferPointer) -> [UInt8] {
    let text = String(validating: bytes, as: UTF8.self) ?? String(String.UnicodeScalarView(bytes.map { UnicodeScalar($0) }))
    return text.utf8.map { $0 < 0x20 || $0 == 0x7F ? 0x20 : $0 }
  }
}
