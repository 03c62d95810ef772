import Foundation

/// A data set in pairs, made of a fixed rule: six interactions per user.
enum GeneratedPairs {
  static func write(users: Int, items: Int, to path: String) throws {
    var text = ""
    for user in 0..<users {
      for place in 0..<6 { text += "u\(user) i\((user &* 7919 &+ place &* (user % 13 + 1)) % items)\n" }
    }
    try Data(text.utf8).write(to: URL(fileURLWithPath: path))
  }
}
