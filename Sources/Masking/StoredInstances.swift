/// Masked instances that were made elsewhere and are trained on as they are, one after the other in one piece of memory.
///
/// Letters: N instances, T tokens of all, M masked positions of all. The memory has, each at its place, offsets of tokens and of masked
/// positions (Int64, N + 1 each), users (Int32, N), tokens (T), masked positions (M) and labels (M), all Int32.
package struct StoredInstances: @unchecked Sendable {
  package let count: Int
  /// Tokens of the longest one.
  package let longest: Int
  package let bytes: UnsafeRawBufferPointer
  private let owner: AnyObject
  private let tokenOffsets, maskedOffsets: UnsafePointer<Int64>  // (N + 1)
  private let users, tokens, positions, labels: UnsafePointer<Int32>  // (N), (T), (M), (M)

  /// `bytes` are those of a `Builder`, perhaps a copy, and live as long as `owner`; there is at least one instance.
  package init(count: Int, bytes: UnsafeRawBufferPointer, owner: AnyObject) {
    guard count > 0, let base = bytes.baseAddress else { preconditionFailure("there is at least one instance") }
    self.count = count
    self.bytes = bytes
    self.owner = owner
    tokenOffsets = base.assumingMemoryBound(to: Int64.self)
    maskedOffsets = tokenOffsets + (count + 1)
    users = UnsafeRawPointer(maskedOffsets + (count + 1)).assumingMemoryBound(to: Int32.self)
    tokens = users + count
    positions = tokens + Int(tokenOffsets[count])
    labels = positions + Int(maskedOffsets[count])
    var longest = 0
    for index in 0..<count { longest = max(longest, Int(tokenOffsets[index + 1] - tokenOffsets[index])) }
    self.longest = longest
  }

  func tokenCount(of index: Int) -> Int { Int(tokenOffsets[index + 1] - tokenOffsets[index]) }
  func maskedCount(of index: Int) -> Int { Int(maskedOffsets[index + 1] - maskedOffsets[index]) }
  /// Index of the user whose sequence an instance is made of.
  func user(of index: Int) -> Int { Int(users[index]) }

  func append(_ index: Int, place: Int, to batch: inout PackedBatch) {
    let start = Int(tokenOffsets[index])
    var next = Int(maskedOffsets[index])
    let end = Int(maskedOffsets[index + 1])
    for position in 0..<tokenCount(of: index) {
      if next < end, Int(positions[next]) == position {
        batch.append(token: tokens[start + position], label: labels[next])
        next += 1
      } else {
        batch.append(token: tokens[start + position])
      }
    }
    batch.endInstance(place: place)
  }

  /// Collects instances one by one.
  package struct Builder {
    private var tokenOffsets: [Int64] = [0]
    private var maskedOffsets: [Int64] = [0]
    private var users: [Int32] = []
    private var tokens: [Int32] = []
    private var positions: [Int32] = []
    private var labels: [Int32] = []

    package init() {}

    package var count: Int { users.count }

    /// `positions` ascend and are tokens' places; there are as many `labels`, at least one.
    package mutating func append(user: Int, tokens: [Int32], positions: [Int32], labels: [Int32]) {
      precondition(positions.count == labels.count && !positions.isEmpty && positions.count <= tokens.count)
      users.append(Int32(user))
      self.tokens += tokens
      self.positions += positions
      self.labels += labels
      tokenOffsets.append(Int64(self.tokens.count))
      maskedOffsets.append(Int64(self.labels.count))
    }

    package var byteCount: Int {
      8 * (tokenOffsets.count + maskedOffsets.count) + 4 * (users.count + tokens.count + positions.count + labels.count)
    }

    /// Copies all to memory of `byteCount`.
    package func write(to memory: UnsafeMutableRawBufferPointer) {
      var rest = memory[...]
      func put(_ bytes: UnsafeRawBufferPointer) {
        UnsafeMutableRawBufferPointer(rebasing: rest).copyMemory(from: bytes)
        rest = rest.dropFirst(bytes.count)
      }
      for numbers in [tokenOffsets, maskedOffsets] { numbers.withUnsafeBytes { put($0) } }
      for numbers in [users, tokens, positions, labels] { numbers.withUnsafeBytes { put($0) } }
    }
  }
}
