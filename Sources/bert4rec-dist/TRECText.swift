import BERT4RecDist

/// Lines of TREC's files: of a run, `user Q0 item rank score name`; of judgements (qrels), `user 0 item 1`. An id must be free of spaces.
///
/// The tools sort a run by score alone, as float32, and break ties by the item's name; so of equal scores the later one is written as
/// the next smaller float32, and the tools see the order of the list.
enum TRECText {
  static let runName = "bert4rec-dist"

  static func appendRun(
    _ user: ArraySlice<UInt8>, _ list: RecommendationList, _ itemIDs: ExternalIDs, to text: inout [UInt8]
  ) throws(ProgramFailure) {
    try check(user)
    var bound = Float.greatestFiniteMagnitude
    for (index, scored) in list.items.enumerated() {
      let item = itemIDs[Int(scored.item) - 1]
      try check(item)
      let score = min(Float(scored.score), bound)
      bound = score.nextDown
      text += user
      text += Array(" Q0 ".utf8)
      text += item
      text += Array(" \(index + 1) \(ScoreText.digits(Double(score))) \(runName)\n".utf8)
    }
  }

  static func appendJudgement(_ user: ArraySlice<UInt8>, item: ArraySlice<UInt8>, to text: inout [UInt8]) throws(ProgramFailure) {
    try check(user)
    try check(item)
    text += user
    text += Array(" 0 ".utf8)
    text += item
    text += Array(" 1\n".utf8)
  }

  private static func check(_ id: ArraySlice<UInt8>) throws(ProgramFailure) {
    guard id.contains(where: { $0 <= 0x20 || $0 == 0x7F }) || id.isEmpty else { return }
    throw ProgramFailure(
      .badData,
      "the id '\(String(decoding: id.prefix(80), as: UTF8.self))' has a space or a control character in it, which TREC's files cannot "
        + "carry; rename it, or write another format")
  }
}
