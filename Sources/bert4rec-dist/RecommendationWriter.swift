import BERT4RecDist

/// Writes lists to standard output in the user's own ids.
struct RecommendationWriter {
  /// What the lists are of, as their columns are called.
  struct Columns {
    let subject: String
    let item: String
    let score: String

    static let recommendations = Columns(subject: "user_id", item: "item_id", score: "score")
    static let similarItems = Columns(subject: "item_id", item: "similar_item_id", score: "similarity")
  }

  private let format: RecommendationFormat
  private let columns: Columns
  private let itemIDs: ExternalIDs
  private let titles: ItemTitles?
  private var buffer: [UInt8] = []
  private var output = StandardOutput()

  init(format: RecommendationFormat, columns: Columns, itemIDs: ExternalIDs, titles: ItemTitles?) {
    self.format = format
    self.columns = columns
    self.itemIDs = itemIDs
    self.titles = titles
    buffer.reserveCapacity(1 << 17)
  }

  /// Whether the reader has gone: nobody wants more.
  var isClosed: Bool { output.isClosed }

  mutating func begin() throws(ProgramFailure) {
    let names = [columns.subject, columns.item, columns.score, "rank"] + (titles == nil ? [] : ["title"])
    switch format {
    case .csv: buffer += Array((names.joined(separator: ",") + "\n").utf8)
    case .tsv: buffer += Array((names.joined(separator: "\t") + "\n").utf8)
    case .jsonl, .trec: break
    }
  }

  mutating func write(_ subject: ArraySlice<UInt8>, _ list: RecommendationList) throws(ProgramFailure) {
    switch format {
    case .csv: writeCSV(subject, list)
    case .tsv: writeTSV(subject, list)
    case .jsonl: try writeJSON(subject, list)
    case .trec: try TRECText.appendRun(subject, list, itemIDs, to: &buffer)
    }
    if buffer.count > 1 << 16 { try flush() }
  }

  mutating func end() throws(ProgramFailure) { try flush() }

  private mutating func flush() throws(ProgramFailure) {
    try output.write(buffer)
    buffer.removeAll(keepingCapacity: true)
  }

  private func id(_ scored: ScoredItem) -> ArraySlice<UInt8> { itemIDs[Int(scored.item) - 1] }

  private mutating func writeCSV(_ subject: ArraySlice<UInt8>, _ list: RecommendationList) {
    for (index, scored) in list.items.enumerated() {
      appendCSV(subject)
      buffer.append(UInt8(ascii: ","))
      appendCSV(id(scored))
      buffer += Array(",\(ScoreText.digits(scored.score)),\(index + 1)".utf8)
      if let titles {
        buffer.append(UInt8(ascii: ","))
        appendCSV(titles[scored.item][...])
      }
      buffer.append(UInt8(ascii: "\n"))
    }
  }

  private mutating func writeTSV(_ subject: ArraySlice<UInt8>, _ list: RecommendationList) {
    for (index, scored) in list.items.enumerated() {
      TSVText.append(subject, to: &buffer)
      buffer.append(UInt8(ascii: "\t"))
      TSVText.append(id(scored), to: &buffer)
      buffer += Array("\t\(ScoreText.digits(scored.score))\t\(index + 1)".utf8)
      if let titles {
        buffer.append(UInt8(ascii: "\t"))
        TSVText.append(titles[scored.item][...], to: &buffer)
      }
      buffer.append(UInt8(ascii: "\n"))
    }
  }

  private mutating func writeJSON(_ subject: ArraySlice<UInt8>, _ list: RecommendationList) throws(ProgramFailure) {
    for (index, scored) in list.items.enumerated() {
      buffer += Array("{\"\(columns.subject)\":".utf8)
      try appendJSON(subject)
      buffer += Array(",\"\(columns.item)\":".utf8)
      try appendJSON(id(scored))
      buffer += Array(",\"\(columns.score)\":\(ScoreText.digits(scored.score)),\"rank\":\(index + 1)".utf8)
      if let titles {
        buffer += Array(",\"title\":".utf8)
        try appendJSON(titles[scored.item][...])
      }
      buffer += Array("\(list.isFallback ? ",\"fallback\":\"popular\"" : "")}\n".utf8)
    }
  }

  /// RFC 4180: quotes where an id holds a comma, a quote or a line break.
  private mutating func appendCSV(_ id: ArraySlice<UInt8>) {
    let special: [UInt8] = [UInt8(ascii: ","), UInt8(ascii: "\""), UInt8(ascii: "\n"), UInt8(ascii: "\r")]
    guard id.contains(where: special.contains) else {
      buffer += id
      return
    }
    buffer.append(UInt8(ascii: "\""))
    for byte in id {
      if byte == UInt8(ascii: "\"") { buffer.append(byte) }
      buffer.append(byte)
    }
    buffer.append(UInt8(ascii: "\""))
  }

  private mutating func appendJSON(_ id: ArraySlice<UInt8>) throws(ProgramFailure) {
    guard let text = String(validating: id, as: UTF8.self) else {
      throw ProgramFailure(.badData, "the id \(PrintableText.quoted(id)) is not UTF-8, which JSON cannot carry; use --format csv or tsv.")
    }
    var quoted = ""
    JSON.appendQuoted(text, to: &quoted)
    buffer += quoted.utf8
  }
}
