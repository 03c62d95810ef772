import SystemSupport

/// Formats that are recognised by their first bytes but not read: the error says how to convert them.
enum ForeignFormats {
  private static let magics: [(bytes: [UInt8], name: String, command: String)] = [
    ([0x37, 0x7A, 0xBC, 0xAF, 0x27, 0x1C], "a 7z archive", "7z e -so F > G"),
    (Array("Rar!\u{1A}\u{7}".utf8), "a RAR archive", "unrar p -inul F > G"),
    ([0x04, 0x22, 0x4D, 0x18], "lz4-compressed data", "lz4 -dc F > G"),
    ([0x1F, 0x9D], "data of compress", "zcat F > G"),
    ([0xFF, 0xFE], "UTF-16 text", "iconv -f UTF-16 -t UTF-8 F > G"),
    ([0xFE, 0xFF], "UTF-16 text", "iconv -f UTF-16 -t UTF-8 F > G"),
  ]

  static func refuse(_ input: InputBytes) throws(ProgramFailure) {
    defer { withExtendedLifetime(input) {} }
    let (bytes, name) = (input.body, input.name)
    let block = bytes.prefix(Sample.blockSize)
    let line = block.prefix { $0 != 0x0A }
    func failure(_ what: String, _ command: String) -> ProgramFailure {
      ProgramFailure(
        .badData,
        "\(name):1: \(PrintableText.quoted(line)): \(what), which is not read yet; convert it (\(command)) and give G")
    }
    for magic in magics where bytes.starts(with: magic.bytes) {
      throw failure(magic.name, magic.command)
    }
    let parquet = Array("PAR1".utf8)
    if bytes.count >= 12, bytes.starts(with: parquet), bytes.suffix(4).elementsEqual(parquet) {
      throw failure(
        "a Parquet file", "python3 -c 'import pandas; pandas.read_parquet(\"F\").to_csv(\"G\", index=False)'")
    }
    if let nul = block.firstIndex(of: 0) {
      throw ProgramFailure(
        .badData,
        "\(name):1: \(PrintableText.quoted(line)): binary data (a zero byte at offset \(nul)); give a text file "
          + "with one "
          + "interaction a line, such as 'user item'")
    }
  }

  /// The quote that opens the first key, where the text begins as an object or dictionary does: `{"`, `[{"`, `{u'`.
  static func quoteOfFirstKey(_ bytes: UnsafeRawBufferPointer) -> UInt8? {
    let significant = bytes.prefix(256).filter { $0 > 0x20 }
    var rest = significant[...]
    if rest.first == UInt8(ascii: "[") { rest.removeFirst() }
    guard rest.first == UInt8(ascii: "{") else { return nil }
    rest.removeFirst()
    if rest.first == UInt8(ascii: "u") { rest.removeFirst() }
    guard let quote = rest.first, quote == UInt8(ascii: "\"") || quote == UInt8(ascii: "'") else { return nil }
    return quote
  }
}
