/// What the control groups of this process allow it: containers and batch systems set limits there. A limit of an outer group holds
/// for all inner ones, so each is looked at, from the process's own up to the outermost that can be seen.
package struct ControlGroups {
  package struct Limit: Equatable, Sendable {
    /// The group's folder.
    package let path: String
    /// The same for all processes of a host that are in the group, and for no others.
    package let identity: String
    /// Bytes, or cores.
    package let value: Double
  }

  private let root: String

  /// - Parameter root: what stands before /proc and /sys; tests have a folder of their own.
  package init(root: String = "") { self.root = root }

  /// In bytes: memory.max of version 2, memory.limit_in_bytes of version 1.
  package var memory: [Limit] {
    folders("memory").compactMap { folder in
      let file = folder.isUnified ? "memory.max" : "memory.limit_in_bytes"
      guard let bytes = words(folder.path + "/" + file).first.flatMap({ Double($0) }) else { return nil }
      // Version 1 writes the largest whole number of pages for "none".
      return bytes >= 0 && bytes < 0x1p60 ? limit(folder.path, bytes) : nil
    }
  }

  /// Bytes that all processes of a group have, without pages of files, which the kernel drops when memory is short; nil where the kernel
  /// does not say it.
  package func memoryInUse(_ limit: Limit) -> Double? {
    func bytes(_ file: String) -> Double? { words(limit.path + "/" + file).first.flatMap { Double($0) } }
    guard let all = bytes("memory.current") ?? bytes("memory.usage_in_bytes") else { return nil }
    var pages = 0.0
    // Version 1 has its sums over inner groups under names of their own.
    let lines = lines(limit.path + "/memory.stat").map { $0.split(separator: " ") }
    let prefix = lines.contains { $0.first == "total_inactive_file" } ? "total_" : ""
    for line in lines where line.count == 2 && ["inactive_file", "active_file"].contains(where: { line[0] == prefix + $0 }) {
      pages += Double(line[1]) ?? 0
    }
    return max(0, all - pages)
  }

  /// In cores, which need not be whole: cpu.max of version 2, cpu.cfs_quota_us and cpu.cfs_period_us of version 1.
  package var processors: [Limit] {
    folders("cpu").compactMap { folder in
      let quota: [Double?] =
        folder.isUnified
        ? words(folder.path + "/cpu.max").map { Double($0) }
        : [
          words(folder.path + "/cpu.cfs_quota_us").first.flatMap { Double($0) },
          words(folder.path + "/cpu.cfs_period_us").first.flatMap { Double($0) },
        ]
      // "max", or -1, is no limit.
      guard quota.count == 2, let time = quota[0], let period = quota[1], time > 0, period > 0 else { return nil }
      return limit(folder.path, time / period)
    }
  }

  private func limit(_ path: String, _ value: Double) -> Limit {
    Limit(path: path, identity: FileSystem.identity(root + path) ?? path, value: value)
  }

  /// The folders of this process's groups that a controller may limit, the innermost first. With both versions mounted a controller
  /// belongs to one of them, and the other has no such files.
  private func folders(_ controller: String) -> [(path: String, isUnified: Bool)] {
    lines("/proc/self/cgroup").flatMap { line -> [(path: String, isUnified: Bool)] in
      // hierarchy:controllers:path
      let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
      guard parts.count == 3 else { return [] }
      let isUnified = parts[0] == "0" && parts[1].isEmpty
      guard isUnified || parts[1].split(separator: ",").contains(Substring(controller)) else { return [] }
      let mounts = mounts.filter { isUnified ? $0.type == "cgroup2" : $0.type == "cgroup" && $0.options.contains(controller) }
      guard let mount = mounts.first(where: { $0.folder(of: String(parts[2])) != nil }) ?? mounts.first else { return [] }
      // A group outside of what is mounted: the mount's own folder is the nearest that can be seen.
      var path = mount.folder(of: String(parts[2])) ?? mount.point
      var found = [(path: path, isUnified: isUnified)]
      while path.count > mount.point.count {
        path = FileSystem.parent(of: path)
        found.append((path, isUnified))
      }
      return found
    }
  }

  private struct Mount {
    /// The group that is mounted, and where.
    let group, point: String
    let type: String
    let options: [String]

    /// Where a group of the hierarchy is seen, if it is at all.
    func folder(of path: String) -> String? {
      if path.split(separator: "/").contains("..") { return nil }
      if path == group { return point }
      let above = group == "/" ? "" : group
      return path.hasPrefix(above + "/") ? point + path.dropFirst(above.count) : nil
    }
  }

  private var mounts: [Mount] {
    lines("/proc/self/mountinfo").compactMap { line in
      // number parent device root point options ... - type source options
      let fields = line.split(separator: " ")
      guard let dash = fields.firstIndex(of: "-"), dash > 4, fields.count > dash + 3 else { return nil }
      return Mount(
        group: unescaped(fields[3]), point: unescaped(fields[4]), type: String(fields[dash + 1]),
        options: fields[dash + 3].split(separator: ",").map(String.init))
    }
  }

  /// Blanks and the like stand there as a backslash and three octal digits.
  private func unescaped(_ field: Substring) -> String {
    var bytes: [UInt8] = []
    var rest = Array(field.utf8)[...]
    while let byte = rest.popFirst() {
      if byte == UInt8(ascii: "\\"), rest.count >= 3, let code = UInt8(String(decoding: rest.prefix(3), as: UTF8.self), radix: 8) {
        bytes.append(code)
        rest = rest.dropFirst(3)
      } else {
        bytes.append(byte)
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  private func text(_ path: String) -> String {
    String(decoding: (try? FileSystem.read(root + path, limit: 1 << 20)) ?? [], as: UTF8.self)
  }

  private func lines(_ path: String) -> [Substring] { text(path).split(separator: "\n") }

  private func words(_ path: String) -> [Substring] { text(path).split(whereSeparator: \.isWhitespace) }
}
