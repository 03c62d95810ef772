import InteractionData

extension Dataset {
  /// Some users as the data names them, for a message; by number on ranks that have no names.
  func names(ofUsers users: [Int]) -> String {
    let names = users.prefix(5).map { user in
      user < userIDs.count ? String(decoding: userIDs[user], as: UTF8.self) : "number \(user)"
    }
    return names.joined(separator: ", ") + (users.count > names.count ? " and \(users.count - names.count) more" : "")
  }
}
