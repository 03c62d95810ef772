/// The fields of an object in a file that is not to be trusted: each is there and of its type, or refused with exit code 65, by its name.
package struct JSONFields {
  private let object: JSON
  private let path: String
  private let prefix: String

  /// `path` is for the messages; `prefix` stands before the names of the fields there.
  package init(_ object: JSON, path: String, prefix: String = "") {
    (self.object, self.path, self.prefix) = (object, path, prefix)
  }

  package func has(_ key: String) -> Bool { object[key] != nil }

  package func int(_ key: String) throws(ProgramFailure) -> Int { try require(key, object[key]?.int) }

  /// 0 or more.
  package func count(_ key: String) throws(ProgramFailure) -> Int { try require(key, object[key]?.int.flatMap { $0 >= 0 ? $0 : nil }) }

  package func unsigned(_ key: String) throws(ProgramFailure) -> UInt64 { try require(key, object[key]?.unsigned) }

  /// JSON has numbers that are too large for a Double; none of these.
  package func double(_ key: String) throws(ProgramFailure) -> Double {
    try require(key, object[key]?.double.flatMap { $0.isFinite ? $0 : nil })
  }

  /// A finite number, 0 or more.
  package func size(_ key: String) throws(ProgramFailure) -> Double {
    try require(key, object[key]?.double.flatMap { $0.isFinite && $0 >= 0 ? $0 : nil })
  }

  package func string(_ key: String) throws(ProgramFailure) -> String { try require(key, object[key]?.string) }

  package func fields(_ key: String) throws(ProgramFailure) -> JSONFields {
    let value = try require(key, object[key].flatMap { $0.members == nil ? nil : $0 })
    return JSONFields(value, path: path, prefix: prefix + key + ".")
  }

  /// What `read` makes of each member of an object.
  package func each<Value>(
    _ key: String, _ read: (_ field: JSONFields, _ key: String) throws(ProgramFailure) -> Value
  ) throws(ProgramFailure) -> [String: Value] {
    var values: [String: Value] = [:]
    for member in try require(key, object[key]?.members) {
      // One by one: looking each up among all would take the square of their number.
      let field = JSONFields(.object([member]), path: path, prefix: prefix + key + ".")
      values[member.key] = try read(field, member.key)
    }
    return values
  }

  private func require<Value>(_ key: String, _ value: Value?) throws(ProgramFailure) -> Value {
    guard let value else { throw ProgramFailure(.badData, "\(path): \"\(prefix)\(key)\" is missing or not of its type") }
    return value
  }
}
