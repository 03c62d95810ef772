/// A bound on the memory that this process, or all processes of a machine or group together, may have.
package struct MemoryLimit: Equatable, Sendable {
  /// Such as "the machine has" or "the control group /sys/fs/cgroup/job allows"; a size follows.
  package let name: String
  package let bytes: Double
  /// The same for all processes of a host that share the limit; nil where each has its own.
  package let sharedAs: String?
  /// What this process has of it by now.
  package let inUse: Double

  package init(name: String, bytes: Double, sharedAs: String?, inUse: Double) {
    self.name = name
    self.bytes = bytes
    self.sharedAs = sharedAs
    self.inUse = inUse
  }

  /// What Open MPI and the C library may still map and hardly use: counts where addresses count, not pages.
  private static let unusedAddresses = Double(64 << 20)

  /// What a thread's large buffers take more than their size, to begin on a large page.
  private static let largePages = Double(8 << 20)

  /// All that can be found out here.
  /// - Parameters:
  ///   - threads: which this process is going to start; the addresses of their stacks count.
  ///   - addresses: that libraries are going to map besides.
  ///   - root: what stands before /proc and /sys; tests have a folder of their own.
  package static func all(threads: Int, addresses: Double = 0, root: String = "") -> [MemoryLimit] {
    let status = ProcFile(root + "/proc/self/status")
    // Pages of files can be dropped at any time, so they are no need; of memory that processes share each has its part.
    let shared = ProcFile(root + "/proc/self/smaps_rollup").kibibytes("Pss_Shmem:") ?? status.kibibytes("RssShmem:")
    let resident = (status.kibibytes("RssAnon:") ?? 0) + (shared ?? 0)
    var limits: [MemoryLimit] = []
    if let total = ProcFile(root + "/proc/meminfo").kibibytes("MemTotal:") {
      limits.append(MemoryLimit(name: "the machine has", bytes: total, sharedAs: "machine", inUse: resident))
    }
    for group in ControlGroups(root: root).memory {
      limits.append(
        MemoryLimit(
          name: "the control group \(group.path) allows", bytes: group.value, sharedAs: group.identity, inUse: resident))
    }
    let own = ProcFile(root + "/proc/self/limits")
    let stack = own.softLimit("Max stack size") ?? Double(8 << 20)
    let toCome = addresses + unusedAddresses + (stack + largePages) * Double(threads)
    for (line, option, size) in [("Max address space", "-v", "VmSize:"), ("Max data size", "-d", "VmData:")] {
      guard let bytes = own.softLimit(line) else { continue }
      limits.append(
        MemoryLimit(
          name: "this process's limit (ulimit \(option)) is", bytes: bytes, sharedAs: nil,
          inUse: (status.kibibytes(size) ?? 0) + toCome))
    }
    return limits
  }

  /// Bytes that this process can take now: what the machine has left (besides pages of files, which the kernel drops), what its control
  /// groups allow, and what its own limits do.
  /// - Parameter root: what stands before /proc and /sys; tests have a folder of their own.
  package static func available(root: String = "") -> Double {
    let groups = ControlGroups(root: root)
    var rooms = all(threads: 0, root: root).map { $0.bytes - $0.inUse }
    for group in groups.memory { if let used = groups.memoryInUse(group) { rooms.append(group.value - used) } }
    if let left = ProcFile(root + "/proc/meminfo").kibibytes("MemAvailable:") { rooms.append(left) }
    return max(0, rooms.min() ?? .infinity)
  }
}

/// A file of /proc, in lines that begin with a name.
private struct ProcFile {
  private let lines: [Substring]

  init(_ path: String) {
    lines = String(decoding: (try? FileSystem.read(path, limit: 1 << 16)) ?? [], as: UTF8.self).split(separator: "\n")
  }

  private func words(after name: String) -> [Substring]? {
    lines.first { $0.hasPrefix(name) }?.dropFirst(name.count).split(whereSeparator: \.isWhitespace)
  }

  /// `name    123 kB`, in bytes.
  func kibibytes(_ name: String) -> Double? { words(after: name)?.first.flatMap { Double($0) }.map { $0 * 1024 } }

  /// `name    soft hard unit`; nil for "unlimited".
  func softLimit(_ name: String) -> Double? { words(after: name)?.first.flatMap { Double($0) } }
}
