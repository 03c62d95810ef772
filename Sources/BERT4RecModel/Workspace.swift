import SystemSupport

/// Memory for one encoder, taken once: every buffer that a block of instances needs. Each thread has its own.
package final class Workspace {
  private enum Kind {
    /// Hands out what must not be touched: to find out how much is needed.
    case counting
    /// One region of a size that was counted before.
    case sized
    /// A region for each buffer.
    case growing
  }

  private final class Region {
    let memory: AlignedBuffer<UInt8>
    init(_ memory: consuming AlignedBuffer<UInt8>) { self.memory = memory }
  }

  private let kind: Kind
  private var regions: [Region] = []
  /// Bytes of all buffers handed out.
  package private(set) var byteCount = 0

  private init(_ kind: Kind) { self.kind = kind }

  /// Takes memory as it is asked for; ends the program where there is none.
  package convenience init() { self.init(.growing) }

  /// Takes all memory at once.
  package convenience init(byteCount: Int) throws(ProgramFailure) {
    self.init(.sized)
    regions = [Region(try AlignedBuffer(count: byteCount, for: "a thread's workspace"))]
  }

  /// The bytes that `body` asks its workspace for; what it makes with it must not be used.
  package static func count(_ body: (Workspace) -> Void) -> Int {
    let workspace = Workspace(.counting)
    body(workspace)
    return workspace.byteCount
  }

  /// `count` floats, zeroed, on a cache line's boundary.
  package func floats(_ count: Int) -> UnsafeMutablePointer<Float> { allocate(count, of: Float.self) }

  /// `count` doubles, zeroed.
  package func doubles(_ count: Int) -> UnsafeMutablePointer<Double> { allocate(count, of: Double.self) }

  /// `count` numbers of rows, zeroed.
  package func indices(_ count: Int) -> UnsafeMutablePointer<Int32> { allocate(count, of: Int32.self) }

  package func keys(_ count: Int) -> UnsafeMutablePointer<UInt64> { allocate(count, of: UInt64.self) }

  private func allocate<T: BitwiseCopyable>(_ count: Int, of type: T.Type) -> UnsafeMutablePointer<T> {
    // Some cache lines between buffers, whose sizes are often powers of two: rows of the same number would else compete for the
    // same places in the cache.
    let bytes = (max(count, 1) * MemoryLayout<T>.stride + 63) / 64 * 64 + 5 * 64
    let start = byteCount
    byteCount += bytes
    let region: UnsafeMutableRawPointer
    switch kind {
    case .counting:
      guard let nowhere = UnsafeMutableRawPointer(bitPattern: 64) else { preconditionFailure("64 is no null pointer") }
      region = nowhere
    case .sized:
      precondition(byteCount <= regions[0].memory.count, "a workspace that was counted otherwise")
      region = UnsafeMutableRawPointer(regions[0].memory.base + start)
    case .growing:
      let memory = Region(.orEnd(count: bytes, for: "a thread's workspace"))
      regions.append(memory)
      region = UnsafeMutableRawPointer(memory.memory.base)
    }
    return region.bindMemory(to: type, capacity: max(count, 1))
  }
}

/// Rounds up to whole vectors of 16 floats.
package func paddedColumns(_ columns: Int) -> Int { (columns + 15) / 16 * 16 }
