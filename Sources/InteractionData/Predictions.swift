import SystemSupport

/// What a program recommended to users, as a file has it: each user's items, the best first.
package struct Predictions: Sendable {
  /// External ids, in order of first appearance.
  package let users: ExternalIDs
  /// How many rows there are.
  package var count: Int { sequences.interactionCount }
  private let itemIDs: ExternalIDs
  /// Numbers of `itemIDs`, from 1.
  private let sequences: Sequences

  /// Reads a table whose first line names a user, an item and a score or a rank; JSON lines with such keys; or a TREC run. That is
  /// what `recommend` writes, too. A rank orders where there is one (1 is the best), else the score (the highest is the best); in a
  /// TREC run the score, as trec_eval does. Rows that are alike in that stay in the order of the file.
  ///
  /// - Parameter log: Gets a line on how the file is read.
  /// - Throws: Exit code 65, with the line, for what cannot be read and for an item that a user has twice: all of these would change
  ///   the numbers. 66 for a file that cannot be opened.
  package static func read(_ path: String, log: (String) -> Void) throws(ProgramFailure) -> Predictions {
    let input = try InputBytes(path)
    defer { withExtendedLifetime(input) {} }
    try ForeignFormats.refuse(input)
    let layout = try PredictionLayout.detect(input)
    log("\(input.name): read as: \(layout.description)")
    var rows = PredictionRows(file: input.name)
    switch layout {
    case .table(let table): try table.read(input.body, into: &rows)
    case .objects: try PredictionObjects.read(input.body, into: &rows)
    }
    if rows.count == 0 { throw ProgramFailure(.badData, "\(input.name): no predictions; it is empty or holds only a header") }
    let sequences = try rows.grouped()
    return Predictions(users: rows.userIDs.externalIDs(), itemIDs: rows.itemIDs.externalIDs(), sequences: sequences)
  }

  private init(users: ExternalIDs, itemIDs: ExternalIDs, sequences: Sequences) {
    (self.users, self.itemIDs, self.sequences) = (users, itemIDs, sequences)
  }

  /// External ids of a user's items, the best first.
  package func items(of user: Int) -> [ArraySlice<UInt8>] { sequences[user].map { itemIDs[Int($0) - 1] } }
}
