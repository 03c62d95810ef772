import CKernels
import SystemSupport

/// The fixed binary tree in which G gradient shards are summed. G alone defines it: no number of ranks or threads does.
///
/// The sum of shards `a ..< b` is `sum(a ..< m) + sum(m ..< b)`, where m - a is the largest power of two below b - a.
/// For G = 7: `((0+1) + (2+3)) + ((4+5) + 6)`. It is what a binary counter of partial sums makes: equal neighbours are
/// added at once, and at the end the remaining ones from the right. (The same shape as the hash tree of RFC 6962.)
///
/// The tree's complete parts are nodes: (level, index) sums shards `index << level ..< (index + 1) << level`. Whoever
/// holds a contiguous range of shards can sum it to its maximal nodes without knowing the rest, and nodes of neighbours
/// merge later.
package struct TreeNode: Equatable, Sendable {
  package let level: Int
  package let index: Int

  package init(level: Int, index: Int) {
    self.level = level
    self.index = index
  }

  package var shards: Range<Int> { index << level..<(index + 1) << level }

  /// Whether `self + right` is the sum of a larger node.
  func isLeftSibling(of right: TreeNode) -> Bool { level == right.level && index & 1 == 0 && right.index == index + 1 }

  var parent: TreeNode { TreeNode(level: level + 1, index: index >> 1) }
}

package enum ShardTree {
  /// The contiguous shards of part `part` out of `count` (of a rank, or of a thread within a rank's shards). Parts
  /// differ by at most one shard; with more parts than shards some are empty.
  package static func range(part: Int, of count: Int, in shards: Range<Int>) -> Range<Int> {
    precondition(part >= 0 && part < count)
    return shards.lowerBound + part * shards.count / count..<shards.lowerBound + (part + 1) * shards.count / count
  }

  /// The fewest nodes that make up a range of shards, in ascending order.
  package static func maximalNodes(of shards: Range<Int>) -> [TreeNode] {
    var nodes: [TreeNode] = []
    var next = shards.lowerBound
    while next < shards.upperBound {
      var level = 0
      while next & ((2 << level) - 1) == 0 && next + (2 << level) <= shards.upperBound { level += 1 }
      nodes.append(TreeNode(level: level, index: next >> level))
      next += 1 << level
    }
    return nodes
  }
}

/// A list of additions of numbered buffers, each into the left one of the two, that merges nodes which lie beside each
/// other.
struct TreeSchedule: Sendable {
  struct Addition: Equatable, Sendable {
    let into: Int
    let from: Int
  }

  private(set) var additions: [Addition] = []
  /// The nodes that are left, and the numbers of the buffers that hold them.
  private(set) var nodes: [TreeNode] = []
  private(set) var slots: [Int] = []

  /// `nodes` are in ascending order without gaps; node i is in buffer i. A node and its sibling are added as soon as
  /// both are there.
  init(merging nodes: [TreeNode]) {
    for (slot, node) in nodes.enumerated() {
      var node = node
      var slot = slot
      while let left = self.nodes.last, left.isLeftSibling(of: node) {
        let into = slots[slots.count - 1]
        additions.append(Addition(into: into, from: slot))
        self.nodes.removeLast()
        slots.removeLast()
        (node, slot) = (left.parent, into)
      }
      self.nodes.append(node)
      slots.append(slot)
    }
  }

  /// Merges, then adds what is left from the right, so that everything is in buffer 0. If the nodes are all of the
  /// tree, that is its sum.
  init(summing nodes: [TreeNode]) {
    self.init(merging: nodes)
    while slots.count > 1 {
      let from = slots.removeLast()
      self.nodes.removeLast()
      additions.append(Addition(into: slots[slots.count - 1], from: from))
    }
  }
}

/// `left[i] += right[i]`, in float32: the only operation with which gradients of shards are put together.
func add(_ right: UnsafePointer<Float>, into left: UnsafeMutablePointer<Float>, count: Int) {
  kernel_set_best().pointee.add(left, right, count)
}
