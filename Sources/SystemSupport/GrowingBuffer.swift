/// Memory for numbers that grows to what was needed most and is kept. Ends the program where there is no memory.
package final class GrowingBuffer<Element: BitwiseCopyable> {
  private final class Memory {
    let buffer: AlignedBuffer<Element>

    init(count: Int, for purpose: String) { buffer = .orEnd(count: count, for: purpose) }
  }

  private var memory: Memory
  private var capacity = 0
  private let purpose: String

  /// - Parameter purpose: what the memory is for, as a message says it: "the rows of other ranks".
  package init(for purpose: String) {
    self.purpose = purpose
    memory = Memory(count: 0, for: purpose)
  }

  package var base: UnsafeMutablePointer<Element> { memory.buffer.base }

  /// Room for `count` elements at `base`. What was there is lost.
  package func resize(_ count: Int) {
    if count <= capacity { return }
    capacity = max(count, capacity + capacity / 2)
    // The old one first: the two together may not fit.
    memory = Memory(count: 0, for: purpose)
    memory = Memory(count: capacity, for: purpose)
  }
}
