import ArgumentParser
import BERT4RecDist

/// What `prepare` leaves out on purpose.
struct FilterOptions: ParsableArguments {
  @Option(help: ArgumentHelp("Leave out users with fewer interactions, together with --min-item-count until both hold.", valueName: "n"))
  var minUserCount: Int?

  @Option(help: ArgumentHelp("Leave out items with fewer interactions.", valueName: "n"))
  var minItemCount: Int?

  @Option(help: ArgumentHelp("Leave out rows with a lower rating.", valueName: "rating"))
  var minRating: Double?

  @Option(help: ArgumentHelp("Keep only rows of these events, such as view,buy.", valueName: "names"))
  var events: String?

  @Flag(help: "Of rows with the same user, item and time keep the first.")
  var dropDuplicates = false

  @Flag(help: "Of neighbours in a history that are the same item keep the first.")
  var collapseRepeats = false

  @Option(help: ArgumentHelp("Keep only rows before this time: 2014-07-23, 2014-07-23T10:00:00Z or an epoch.", valueName: "time"))
  var before: String?

  @Option(help: ArgumentHelp("Keep only rows at this time or later.", valueName: "time"))
  var after: String?

  @Option(help: ArgumentHelp("Keep only each user's newest n interactions.", valueName: "n"))
  var last: Int?

  @Option(
    help: ArgumentHelp(
      "Split by time: histories are what is before, targets what users did from then on; --write-targets writes these.", valueName: "time"))
  var splitTime: String?

  func validate() throws {
    for (name, value) in [("min-user-count", minUserCount), ("min-item-count", minItemCount), ("last", last)] {
      if let value, value < 1 { throw ValidationError("--\(name) must be at least 1.") }
    }
    if let minRating, !minRating.isFinite { throw ValidationError("--min-rating must be a number.") }
    if let events, events.split(separator: ",").isEmpty { throw ValidationError("--events needs a name.") }
  }

  func split() throws(ProgramFailure) -> Int64? {
    try splitTime.map { text throws(ProgramFailure) in try InteractionFilters.time(text, origin: "--split-time") }
  }

  func filters() throws(ProgramFailure) -> InteractionFilters {
    var filters = InteractionFilters()
    filters.minimumUserCount = minUserCount ?? 0
    filters.minimumItemCount = minItemCount ?? 0
    filters.minimumRating = minRating
    filters.events = events?.split(separator: ",").map(String.init)
    filters.dropsDuplicates = dropDuplicates
    filters.collapsesRepeats = collapseRepeats
    filters.before = try before.map { text throws(ProgramFailure) in try InteractionFilters.time(text, origin: "--before") }
    filters.after = try after.map { text throws(ProgramFailure) in try InteractionFilters.time(text, origin: "--after") }
    filters.last = last
    return filters
  }
}
