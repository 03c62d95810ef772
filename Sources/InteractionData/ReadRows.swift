/// All rows of several inputs, before anything is sorted.
struct ReadRows: ~Copyable {
  var table: InteractionRows
  /// At the split's time or later.
  var later: InteractionRows
  var droppedRows: [String: Int]
  var filteredRows: [String: Int]
  /// nil where the user said which column holds the items.
  var foundItems: FoundItems?
}
