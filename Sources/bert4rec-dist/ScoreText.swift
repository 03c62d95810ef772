import Glibc

/// Scores as text.
enum ScoreText {
  /// Nine significant digits: they tell any two float32 numbers apart, so that whoever sorts by score gets this order.
  static func digits(_ score: Double) -> String {
    var text = [CChar](repeating: 0, count: 32)
    let count = withVaList([score]) { vsnprintf(&text, text.count, "%.9g", $0) }
    return String(decoding: text[..<Int(count)].map { UInt8(truncatingIfNeeded: $0) }, as: UTF8.self)
  }
}
