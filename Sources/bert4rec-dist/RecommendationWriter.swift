import BERT4RecDist
import Glibc

import enum SystemSupport.ExitCode
import enum SystemSupport.StandardError

/// Writes recommendations to standard output in the user's own ids. A reader that has had enough (`| head`) ends it quietly.
struct RecommendationWriter {
  private let format: RecommendationFormat
  private let itemIDs: ExternalIDs
  private let titles: ItemTitles?
  private var buffer: [UInt8] = []
  /// Whether the reader has gone: nobody wants more.
  private(set) var isClosed = false

  init(format: RecommendationFormat, itemIDs: ExternalIDs, titles: ItemTitles?) {
    self.format = format
    self.itemIDs = itemIDs
    self.titles = titles
    buffer.reserveCapacity(1 << 17)
    // A closed pipe is then an error of write, not the end of the process.
    signal(SIGPIPE, SIG_IGN)
  }

  mutating func begin() throws(Failure) {
    switch format {
    case .csv: buffer += Array("user_id,item_id,score,rank\(titles == nil ? "" : ",title")\n".utf8)
    case .tsv: buffer += Array("user_id\titem_id\tscore\trank\(titles == nil ? "" : "\ttitle")\n".utf8)
    case .jsonl: break
    }
  }

  mutating func write(_ user: ArraySlice<UInt8>, _ list: RecommendationList) throws(Failure) {
    for (index, scored) in list.items.enumerated() {
      let item = itemIDs[Int(scored.item) - 1]
      switch format {
      case .csv:
        appendCSV(user)
        buffer.append(UInt8(ascii: ","))
        appendCSV(item)
        buffer += Array(",\(digits(scored.score)),\(index + 1)".utf8)
        if let titles {
          buffer.append(UInt8(ascii: ","))
          appendCSV(titles[scored.item][...])
        }
        buffer.append(UInt8(ascii: "\n"))
      case .tsv:
        buffer += TSVText.escape(user)
        buffer.append(UInt8(ascii: "\t"))
        buffer += TSVText.escape(item)
        buffer += Array("\t\(digits(scored.score))\t\(index + 1)".utf8)
        if let titles {
          buffer.append(UInt8(ascii: "\t"))
          buffer += TSVText.escape(titles[scored.item][...])
        }
        buffer.append(UInt8(ascii: "\n"))
      case .jsonl:
        buffer += Array("{\"user_id\":".utf8)
        try appendJSON(user)
        buffer += Array(",\"item_id\":".utf8)
        try appendJSON(item)
        buffer += Array(",\"score\":\(digits(scored.score)),\"rank\":\(index + 1)".utf8)
        if let titles {
          buffer += Array(",\"title\":".utf8)
          try appendJSON(titles[scored.item][...])
        }
        buffer += Array("\(list.isFallback ? ",\"fallback\":\"popular\"" : "")}\n".utf8)
      }
    }
    if buffer.count > 1 << 16 { try flush() }
  }

  mutating func end() throws(Failure) { try flush() }

  private mutating func flush() throws(Failure) {
    // The reader may be the same terminal.
    StandardError.wipeStatus()
    var start = 0
    while start < buffer.count && !isClosed {
      let count = buffer[start...].withUnsafeBytes { bytes in
        Liveness.outside { Glibc.write(STDOUT_FILENO, bytes.baseAddress, bytes.count) }
      }
      if count >= 0 {
        start += count
      } else if errno == EPIPE {
        isClosed = true
      } else if errno != EINTR {
        throw Failure(.disk, "cannot write to standard output: \(String(cString: strerror(errno)))")
      }
    }
    buffer.removeAll(keepingCapacity: true)
  }

  /// Nine significant digits: they tell any two float32 numbers apart, so that whoever sorts by score gets this order.
  private func digits(_ score: Double) -> String {
    var text = [CChar](repeating: 0, count: 32)
    let count = withVaList([score]) { vsnprintf(&text, text.count, "%.9g", $0) }
    return String(decoding: text[..<Int(count)].map { UInt8(truncatingIfNeeded: $0) }, as: UTF8.self)
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

  private mutating func appendJSON(_ id: ArraySlice<UInt8>) throws(Failure) {
    guard let text = String(validating: id, as: UTF8.self) else {
      let shown = id.prefix(40).map { $0 >= 32 && $0 < 127 ? String(UnicodeScalar($0)) : "\\x" + String($0, radix: 16) }.joined()
      throw Failure(
        .badData, "the id \(shown) is not UTF-8, which JSON cannot carry; use --format csv or tsv.")
    }
    buffer.append(UInt8(ascii: "\""))
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"", "\\": buffer += Array("\\\(scalar)".utf8)
      case _ where scalar.value < 32:
        let digits = String(scalar.value, radix: 16)
        buffer += Array(("\\u" + String(repeating: "0", count: 4 - digits.count) + digits).utf8)
      default: buffer += Array(String(scalar).utf8)
      }
    }
    buffer.append(UInt8(ascii: "\""))
  }
}
