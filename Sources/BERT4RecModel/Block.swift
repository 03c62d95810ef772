import Masking

/// Some whole instances of a packed batch: what goes through the encoder at once, so that its activations stay in the cache.
///
/// Letters: B instances, T tokens, M masked rows. All rows are counted from the block's first token. Borrowed pointers: valid
/// inside `PackedBatch.forEachBlock` only.
package struct Block {
  package let tokens: UnsafePointer<Int32>  // (T)
  package let labels: UnsafePointer<Int32>  // (M)
  package let places: UnsafePointer<Int32>  // (B)
  package let instanceCount: Int
  package let tokenCount: Int
  package let maskedCount: Int
  private let offsets: UnsafePointer<Int32>  // (B + 1), from the batch's first token
  private let maskedOffsets: UnsafePointer<Int32>  // (B + 1), from the batch's first masked row
  private let maskedRows: UnsafePointer<Int32>  // (M), from the batch's first token

  fileprivate init(_ batch: PackedBatch.Lists, instances: Range<Int>) {
    let first = instances.lowerBound
    offsets = batch.offsets + first
    maskedOffsets = batch.maskedOffsets + first
    let (token, masked) = (Int(offsets[0]), Int(maskedOffsets[0]))
    tokens = batch.tokens + token
    labels = batch.labels + masked
    maskedRows = batch.maskedRows + masked
    places = batch.places + first
    instanceCount = instances.count
    tokenCount = Int(offsets[instances.count]) - token
    maskedCount = Int(maskedOffsets[instances.count]) - masked
  }

  package func tokenRange(_ instance: Int) -> Range<Int> {
    Int(offsets[instance] - offsets[0])..<Int(offsets[instance + 1] - offsets[0])
  }

  package func maskedRange(_ instance: Int) -> Range<Int> {
    Int(maskedOffsets[instance] - maskedOffsets[0])..<Int(maskedOffsets[instance + 1] - maskedOffsets[0])
  }

  /// The token row of a masked row.
  package func maskedRow(_ index: Int) -> Int { Int(maskedRows[index] - offsets[0]) }
}

extension PackedBatch {
  /// Calls `body` with blocks of whole instances in order: as many as fit into `rows` tokens, at least one.
  package func forEachBlock(rows: Int, _ body: (Block) -> Void) {
    withLists { lists in
      var first = 0
      while first < instanceCount {
        var end = first + 1
        while end < instanceCount, Int(lists.offsets[end + 1] - lists.offsets[first]) <= rows { end += 1 }
        body(Block(lists, instances: first..<end))
        first = end
      }
    }
  }
}
