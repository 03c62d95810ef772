import InteractionData

/// The tokens that are no candidates for one instance: those in its history, and the rows of the vocabulary that are no items. Ascending,
/// each once.
package struct ExcludedTokens {
  package private(set) var tokens: [Int32] = []

  package init() {}

  /// Overwrites it. An item that is `kept` stays a candidate, also where the history holds it.
  package mutating func set(history: UnsafeBufferPointer<Int32>, keeping kept: Int32? = nil, _ ids: TokenIDs) {
    tokens.removeAll(keepingCapacity: true)
    tokens.append(0)
    for item in history where item != kept { tokens.append(item) }
    for token in (ids.itemCount + 1)..<ids.vocabularySize { tokens.append(Int32(token)) }
    tokens.sort()
    var count = 1
    for place in 1..<tokens.count where tokens[place] != tokens[count - 1] {
      tokens[count] = tokens[place]
      count += 1
    }
    tokens.removeLast(tokens.count - count)
  }

  package func contains(_ token: Int) -> Bool {
    tokens.withUnsafeBufferPointer { tokens in
      var (low, high) = (0, tokens.count)
      while low < high {
        let middle = (low + high) / 2
        if Int(tokens[middle]) < token { low = middle + 1 } else { high = middle }
      }
      return low < tokens.count && Int(tokens[low]) == token
    }
  }
}
