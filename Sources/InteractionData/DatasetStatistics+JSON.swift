import SystemSupport

/// As manifest.json has it. What earlier programs did not count may be absent.
extension DatasetStatistics {
  init(_ fields: JSONFields) throws(ProgramFailure) {
    func optional(_ key: String) throws(ProgramFailure) -> Int? { fields.has(key) ? try fields.int(key) : nil }
    func counts(_ key: String) throws(ProgramFailure) -> [String: Int] {
      try fields.each(key) { (counts, name) throws(ProgramFailure) in try counts.int(name) }
    }
    users = try fields.int("users")
    items = try fields.int("items")
    interactions = try fields.int("interactions")
    density = try fields.double("density")
    lengths = try Lengths(fields.fields("lengths"))
    shortUsers = try fields.int("users_with_fewer_than_3")
    usersEndingOnTie = try optional("users_ending_on_tie")
    duplicates = try optional("duplicates")
    repeats = try optional("repeats")
    usersEndingOnRepeat = try optional("users_ending_on_repeat")
    droppedRows = try counts("dropped_rows")
    filteredRows = fields.has("filtered_rows") ? try counts("filtered_rows") : nil
    split = fields.has("split") ? try Split(fields.fields("split")) : nil
  }

  var json: JSON {
    func counts(_ counts: [String: Int]) -> JSON {
      .object(counts.sorted { $0.key < $1.key }.map { JSON.Member($0.key, .integer($0.value)) })
    }
    var members = [
      JSON.Member("users", .integer(users)), JSON.Member("items", .integer(items)),
      JSON.Member("interactions", .integer(interactions)), JSON.Member("density", .double(density)),
      JSON.Member("lengths", lengths.json), JSON.Member("users_with_fewer_than_3", .integer(shortUsers)),
    ]
    let optional = [
      ("users_ending_on_tie", usersEndingOnTie), ("duplicates", duplicates), ("repeats", repeats),
      ("users_ending_on_repeat", usersEndingOnRepeat),
    ]
    for case (let key, let count?) in optional { members.append(JSON.Member(key, .integer(count))) }
    members.append(JSON.Member("dropped_rows", counts(droppedRows)))
    if let filteredRows { members.append(JSON.Member("filtered_rows", counts(filteredRows))) }
    if let split { members.append(JSON.Member("split", split.json)) }
    return .object(members)
  }
}

extension DatasetStatistics.Lengths {
  fileprivate init(_ fields: JSONFields) throws(ProgramFailure) {
    minimum = try fields.double("min")
    quartile1 = try fields.double("25%")
    median = try fields.double("50%")
    quartile3 = try fields.double("75%")
    percentile95 = try fields.double("95%")
    maximum = try fields.double("max")
  }

  fileprivate var json: JSON {
    [
      "min": .double(minimum), "25%": .double(quartile1), "50%": .double(median), "75%": .double(quartile3),
      "95%": .double(percentile95), "max": .double(maximum),
    ]
  }
}

extension DatasetStatistics.Split {
  fileprivate init(_ fields: JSONFields) throws(ProgramFailure) {
    time = try fields.string("time")
    interactions = try fields.int("interactions")
    users = try fields.int("users")
    usersWithoutHistory = try fields.int("users_without_history")
    unknownItems = try fields.int("interactions_with_unknown_items")
  }

  fileprivate var json: JSON {
    [
      "time": .string(time), "interactions": .integer(interactions), "users": .integer(users),
      "users_without_history": .integer(usersWithoutHistory), "interactions_with_unknown_items": .integer(unknownItems),
    ]
  }
}
