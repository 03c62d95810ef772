/// The users' numbers in the original's files, which have no other names for them.
package enum UserNumbers {
  /// An id that is a whole number, written as one (no sign, no zero before it).
  package static func number(_ id: some Collection<UInt8>) -> Int64? {
    guard id.allSatisfy({ (0x30...0x39).contains($0) }), let number = Int64(String(decoding: id, as: UTF8.self)),
      String(number).utf8.elementsEqual(id)
    else { return nil }
    return number
  }

  /// Each user's id where all are whole numbers; nil where not, and their indices have to do.
  package static func numbers(_ ids: ExternalIDs) -> [Int64]? {
    var numbers: [Int64] = []
    for user in 0..<ids.count {
      guard let number = number(ids[user]) else { return nil }
      numbers.append(number)
    }
    return numbers
  }
}
