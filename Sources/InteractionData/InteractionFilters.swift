import SystemSupport

/// What is left out of a data set on purpose; each filter is counted.
public struct InteractionFilters: Sendable, Equatable {
  /// Rows of a lower rating are left out.
  public var minimumRating: Double?
  /// Only rows of these events are kept.
  public var events: [String]?
  /// Nanoseconds since 1970: rows at this time or later are left out.
  public var before: Int64?
  /// Nanoseconds since 1970: earlier rows are left out.
  public var after: Int64?
  /// Of rows with the same user, item and time the first is kept.
  public var dropsDuplicates = false
  /// Of neighbours in a history that are the same item the first is kept.
  public var collapsesRepeats = false
  /// Only so many of each user's newest interactions are kept.
  public var last: Int?
  /// Users and items with fewer interactions are left out, again and again, until all that are left have as many.
  public var minimumUserCount = 0
  /// The same for items.
  public var minimumItemCount = 0

  /// Nothing is left out.
  public init() {}

  static let ratingName = "rows below --min-rating"
  static let eventName = "rows of other events than --events"
  static let beforeName = "rows not before --before"
  static let afterName = "rows before --after"
  static let duplicateName = "exact duplicates"
  static let repeatName = "consecutive repeats"
  static let lastName = "rows before a user's --last"
  static let userName = "rows of users below --min-user-count"
  static let itemName = "rows of items below --min-item-count"

  /// Whether single rows are filtered.
  var filterRows: Bool { minimumRating != nil || events != nil || before != nil || after != nil }

  /// Whether users' sequences are filtered.
  var filterSequences: Bool {
    dropsDuplicates || collapsesRepeats || last != nil || minimumUserCount > 1 || minimumItemCount > 1
  }

  /// A point in time as the options have it: a day, ISO-8601 text, or an epoch; in nanoseconds. Exit code 64 else.
  public static func time(_ text: String, origin: String) throws(ProgramFailure) -> Int64 {
    let value = Array(text.utf8)
    if let format = ColumnContent([value]).timeFormat, format != .numbers,
      case .nanoseconds(let time) = value.withUnsafeBytes({ TimeValue.parse($0, format) })
    {
      return time
    }
    throw ProgramFailure(
      .usage, "\(origin): \(PrintableText.quoted(value)) is no time; give 2014-07-23, 2014-07-23T10:00:00Z or seconds since 1970")
  }

  /// What `time` reads as this: 2014-07-23T10:00:00Z, with the digits of a fraction that there is.
  public static func text(ofTime nanoseconds: Int64) -> String { TimeValue.text(nanoseconds) }
}
