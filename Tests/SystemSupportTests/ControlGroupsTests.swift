import Foundation
import SystemSupport
import TestSupport
import Testing

/// Trees of files as the kernel shows them, under a folder of their own.
@Suite struct ControlGroupsTests {
  private func withTree<R>(_ files: [String: String], _ body: (ControlGroups) throws -> R) throws -> R {
    let folder = try TemporaryFolder()
    defer { withExtendedLifetime(folder) {} }
    let root = folder.path
    for (path, text) in files {
      let url = URL(fileURLWithPath: root + path)
      try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
      try Data(text.utf8).write(to: url)
    }
    return try body(ControlGroups(root: root))
  }

  private static let unified = [
    "/proc/self/cgroup": "0::/box/job\n",
    "/proc/self/mountinfo": "30 20 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n",
  ]

  @Test func limitsOfOuterGroupsHoldToo() throws {
    let files = Self.unified.merging([
      "/sys/fs/cgroup/box/job/memory.max": "max\n", "/sys/fs/cgroup/box/job/cpu.max": "150000 100000\n",
      "/sys/fs/cgroup/box/memory.max": "419430400\n", "/sys/fs/cgroup/box/cpu.max": "max 100000\n",
    ]) { $1 }
    try withTree(files) { groups in
      #expect(groups.memory.map(\.value) == [419_430_400] && groups.memory[0].path == "/sys/fs/cgroup/box")
      #expect(groups.processors.map(\.value) == [1.5] && groups.processors[0].path == "/sys/fs/cgroup/box/job")
    }
  }

  @Test func versionOne() throws {
    let files = [
      "/proc/self/cgroup": "5:cpu,cpuacct:/box\n4:memory:/box\n",
      "/proc/self/mountinfo": "31 20 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n"
        + "32 20 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n",
      "/sys/fs/cgroup/cpu/box/cpu.cfs_quota_us": "200000\n", "/sys/fs/cgroup/cpu/box/cpu.cfs_period_us": "100000\n",
      "/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n", "/sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
      "/sys/fs/cgroup/memory/box/memory.limit_in_bytes": "1000000\n",
      "/sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
    ]
    try withTree(files) { groups in
      #expect(groups.memory.map(\.value) == [1_000_000])
      #expect(groups.processors.map(\.value) == [2])
    }
  }

  /// Nothing, or what makes no sense, is no limit and no crash.
  @Test func whatCannotBeReadIsNoLimit() throws {
    try withTree([:]) { #expect($0.memory.isEmpty && $0.processors.isEmpty) }
    for text in ["", "-5", "0 0", "1e999 100000", "NaN", "\u{0}\u{0}", "100000 0", "a b c"] {
      let files = Self.unified.merging([
        "/sys/fs/cgroup/box/job/memory.max": text.replacingOccurrences(of: " 0", with: ""),
        "/sys/fs/cgroup/box/job/cpu.max": text,
      ]) { $1 }
      try withTree(files) { groups in
        #expect(groups.processors.allSatisfy { $0.value > 0 }, "\(text)")
        #expect(groups.memory.allSatisfy { $0.value >= 0 && $0.value < 0x1p60 }, "\(text)")
      }
    }
    try withTree(["/proc/self/cgroup": "0::/../..\n:::\n", "/proc/self/mountinfo": "1 2 - cgroup2\n"]) {
      #expect($0.memory.isEmpty && $0.processors.isEmpty)
    }
  }
}
