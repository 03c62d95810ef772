import InteractionData
import SystemSupport

/// What is left out of the data, and a split by time. Data sets are told apart by what is read in the end, so a resumed run may have
/// other filters where they leave the same interactions.
extension ConfigurationKey {
  static let ofTheFilters: [ConfigurationKey] = [
    flag("data_skip_bad_rows", \.skipsBadRows, "leave out any number of rows that cannot be read, rather than stop at more than 1 %"),
    ConfigurationKey(
      name: "data_events", help: "keep only rows of these events, such as view,buy", mayChangeOnResume: true,
      read: { $0.filters.events?.joined(separator: ",") ?? none }
    ) {
      let names = $1.split(separator: ",").map(String.init)
      if names.isEmpty { return "names with commas between, or none" }
      $0.filters.events = $1 == none ? nil : names
      return nil
    },
    ConfigurationKey(
      name: "data_min_rating", help: "leave out rows with a lower rating", mayChangeOnResume: true,
      read: { $0.filters.minimumRating.map { "\($0)" } ?? none }
    ) {
      let value = Double($1)
      guard $1 == none || value?.isFinite == true else { return "a number, or none" }
      $0.filters.minimumRating = $1 == none ? nil : value
      return nil
    },
    time("data_before", \.filters.before, "keep only rows before this time: 2014-07-23, 2014-07-23T10:00:00Z or an epoch", mayChange: true),
    time("data_after", \.filters.after, "keep only rows at this time or later", mayChange: true),
    flag("data_drop_duplicates", \.filters.dropsDuplicates, "of rows with the same user, item and time keep the first"),
    flag("data_collapse_repeats", \.filters.collapsesRepeats, "of neighbours in a history that are the same item keep the first"),
    ConfigurationKey(
      name: "data_last", help: "keep only each user's newest interactions, so many", mayChangeOnResume: true,
      read: { $0.filters.last.map { "\($0)" } ?? none }
    ) {
      let value = Int($1)
      guard $1 == none || value.map({ $0 >= 1 }) ?? false else { return "a whole number from 1, or none" }
      $0.filters.last = $1 == none ? nil : value
      return nil
    },
    count(
      "data_min_user_count", \.filters.minimumUserCount,
      "leave out users with fewer interactions, with data_min_item_count until both hold"),
    count("data_min_item_count", \.filters.minimumItemCount, "leave out items with fewer interactions"),
    time(
      "split_time", \.splitTime,
      "split by time: train on what is before, test on what users did from then on, in place of each user's last item; a day, "
        + "ISO-8601 text or an epoch; --split-time overrides", mayChange: false),
  ]

  private static let none = "none"

  private static func flag(
    _ name: String, _ path: WritableKeyPath<RunSettings, Bool> & Sendable, _ help: String
  ) -> ConfigurationKey {
    ConfigurationKey(name: name, help: help, mayChangeOnResume: true, read: { "\($0[keyPath: path])" }) {
      guard let value = Bool($1) else { return "true or false" }
      $0[keyPath: path] = value
      return nil
    }
  }

  private static func count(
    _ name: String, _ path: WritableKeyPath<RunSettings, Int> & Sendable, _ help: String
  ) -> ConfigurationKey {
    ConfigurationKey(name: name, help: help, mayChangeOnResume: true, read: { "\($0[keyPath: path])" }) {
      guard let value = Int($1), value >= 0 else { return "a whole number from 0" }
      $0[keyPath: path] = value
      return nil
    }
  }

  /// Read as any point in time that options have, written as ISO-8601 text in UTC, so that a time has one text.
  private static func time(
    _ name: String, _ path: WritableKeyPath<RunSettings, Int64?> & Sendable, _ help: String, mayChange: Bool
  ) -> ConfigurationKey {
    ConfigurationKey(
      name: name, help: help, mayChangeOnResume: mayChange,
      read: { $0[keyPath: path].map { InteractionFilters.text(ofTime: $0) } ?? none }
    ) {
      if $1 == none {
        $0[keyPath: path] = nil
        return nil
      }
      guard let value = try? InteractionFilters.time($1, origin: name) else {
        return "2014-07-23, 2014-07-23T10:00:00Z, seconds since 1970, or none"
      }
      $0[keyPath: path] = value
      return nil
    }
  }
}
