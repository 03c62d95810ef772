import InteractionData

/// The training windows of all users, as the original cuts them: a sequence of at most L items is one window; a longer one gives
/// windows of L items that end at its end and step back by `slidingStep`, and one that starts at 0.
package struct Windows: Sendable {
  package let split: LeaveOneOut
  private var users: [Int32] = []
  private var starts: [Int32] = []
  private var lengths: [Int32] = []
  /// Items of the longest one; 0 without windows.
  package private(set) var longest = 0

  /// - Parameter slidingStep: at least 1; the original's `int(prop_sliding_window * L)`, or L for -1.
  package init(_ split: LeaveOneOut, maximumLength: Int, slidingStep: Int) {
    precondition(maximumLength > 0 && slidingStep > 0)
    self.split = split
    for user in 0..<split.sequences.userCount {
      let length = split.trainingItems(of: user).count
      if length == 0 { continue }
      if length <= maximumLength {
        append(user: user, start: 0, length: length)
        continue
      }
      var start = length - maximumLength
      while start > 0 {
        append(user: user, start: start, length: maximumLength)
        start -= slidingStep
      }
      append(user: user, start: 0, length: maximumLength)
    }
  }

  private mutating func append(user: Int, start: Int, length: Int) {
    users.append(Int32(user))
    starts.append(Int32(start))
    lengths.append(Int32(length))
    longest = max(longest, length)
  }

  package var count: Int { users.count }

  package func length(of window: Int) -> Int { Int(lengths[window]) }

  /// Index of the user whose sequence it is cut from.
  package func user(of window: Int) -> Int { Int(users[window]) }

  package subscript(window: Int) -> UnsafeBufferPointer<Int32> {
    let start = Int(starts[window])
    return UnsafeBufferPointer(
      rebasing: split.trainingItems(of: Int(users[window]))[start..<(start + Int(lengths[window]))])
  }
}
