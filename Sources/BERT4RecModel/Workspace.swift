/// Memory for one encoder, taken once: every buffer that a block of instances needs. Each thread has its own.
package final class Workspace {
  private var regions: [UnsafeMutableRawPointer] = []
  /// Bytes in all.
  package private(set) var byteCount = 0

  package init() {}

  deinit { for region in regions { region.deallocate() } }

  /// `count` floats, zeroed, on a cache line's boundary.
  package func floats(_ count: Int) -> UnsafeMutablePointer<Float> { allocate(count, of: Float.self) }

  package func keys(_ count: Int) -> UnsafeMutablePointer<UInt64> { allocate(count, of: UInt64.self) }

  private func allocate<T: BitwiseCopyable>(_ count: Int, of type: T.Type) -> UnsafeMutablePointer<T> {
    let bytes = (max(count, 1) * MemoryLayout<T>.stride + 63) / 64 * 64
    let region = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: 64)
    region.initializeMemory(as: UInt8.self, repeating: 0, count: bytes)
    regions.append(region)
    byteCount += bytes
    return region.bindMemory(to: type, capacity: max(count, 1))
  }
}

/// Rounds up to whole vectors of 16 floats.
package func paddedColumns(_ columns: Int) -> Int { (columns + 15) / 16 * 16 }
