import SystemSupport
import TestSupport
import Testing

@Suite struct MemoryTests {
  let folder: TemporaryFolder
  init() throws { folder = try TemporaryFolder() }

  @Test func memoryIsZeroedAndAligned() throws {
    for bytes in [0, 1, 4096, 3_000_000, 9_000_000] {
      let memory = try AlignedMemory(byteCount: bytes, for: "a test")
      #expect(UInt(bitPattern: memory.base) % 64 == 0 && memory.byteCount == bytes)
      let values = memory.elements(UInt8.self)
      #expect(values.count == bytes && values.allSatisfy { $0 == 0 })
      if bytes > 0 { values[bytes - 1] = 1 }
    }
  }

  /// More than any machine has addresses for.
  @Test func memoryThatIsRefusedIsAFailure() throws {
    let refused = try #require(
      failure { () throws(ProgramFailure) in _ = try AlignedMemory(byteCount: 1 << 62, for: "the parameters") })
    #expect(refused.exitCode == .internalFault)
    #expect(refused.message.hasPrefix("no memory for the parameters, 4.0 EiB: Cannot allocate memory"))
  }

  @Test func sizes() {
    let cases: [(Double, String)] = [
      (0, "0 bytes"), (1023, "1023 bytes"), (1024, "1.0 KiB"), (10_188, "9.9 KiB"), (10_240, "10 KiB"),
      (1023.9 * 1024, "1.0 MiB"), (75_497_472, "72 MiB"), (0x1p40 * 1.7, "1.7 TiB"), (0x1p70, "1024 EiB"),
    ]
    for (bytes, text) in cases { #expect(MemorySize.text(bytes) == text) }
  }

  /// Files as the kernel shows them, under a folder of their own.
  private func write(_ files: [String: String]) throws {
    for (path, text) in files {
      try FileSystem.createDirectories(FileSystem.parent(of: folder.path + path))
      try FileSystem.writeDurably(folder.path + path, Array(text.utf8))
    }
  }

  @Test func limitsOfMachineGroupAndProcess() throws {
    try write([
      "/proc/meminfo": "MemTotal:       24683656 kB\nMemFree:        1 kB\n",
      "/proc/self/status": "Name:\tx\nVmSize:\t  200000 kB\nVmData:\t   50000 kB\nRssAnon:\t   3000 kB\nRssShmem:\t     72 kB\n",
      "/proc/self/limits": """
      Limit                     Soft Limit           Hard Limit           Units
      Max data size             unlimited            unlimited            bytes
      Max stack size            8388608              unlimited            bytes
      Max address space         409600000            unlimited            bytes

      """,
      "/proc/self/cgroup": "0::/job\n",
      "/proc/self/mountinfo": "30 20 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
      "/sys/fs/cgroup/job/memory.max": "419430400\n",
    ])
    let limits = MemoryLimit.all(threads: 2, root: folder.path)
    try #require(limits.count == 3)
    #expect(limits[0] == MemoryLimit(name: "the machine has", bytes: 24_683_656 * 1024, sharedAs: "machine", inUse: 3072 * 1024))
    #expect(limits[1].name == "the control group /sys/fs/cgroup/job allows" && limits[1].bytes == 419_430_400)
    #expect(limits[1].sharedAs != nil && limits[1].inUse == 3072 * 1024)
    #expect(limits[2].name.contains("ulimit -v") && limits[2].bytes == 409_600_000 && limits[2].sharedAs == nil)
    // Two stacks at least, besides what the process has.
    #expect(limits[2].inUse >= 200_000 * 1024 + 2 * 8_388_608)
    let more = MemoryLimit.all(threads: 2, addresses: 1e6, root: folder.path)
    #expect(more[2].inUse == limits[2].inUse + 1e6 && more[0] == limits[0])
    // Where the kernel says how much of shared memory is this process's part.
    try write(["/proc/self/smaps_rollup": "Rss:       4000 kB\nPss_Anon:   3000 kB\nPss_Shmem:     24 kB\n"])
    #expect(MemoryLimit.all(threads: 2, root: folder.path)[0].inUse == 3024 * 1024)
  }

  /// The least of what the machine, the group's other processes and the process's own limits leave.
  @Test func availableMemory() throws {
    #expect(MemoryLimit.available(root: folder.path) == .infinity)
    try write([
      "/proc/meminfo": "MemTotal:  4000 kB\nMemAvailable:  3000 kB\n", "/proc/self/status": "RssAnon:  500 kB\n",
      "/proc/self/cgroup": "0::/job\n", "/proc/self/mountinfo": "30 20 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
      "/sys/fs/cgroup/job/memory.max": "max\n",
    ])
    #expect(MemoryLimit.available(root: folder.path) == 3000 * 1024)
    try write(["/sys/fs/cgroup/job/memory.max": "2048000\n"])
    #expect(MemoryLimit.available(root: folder.path) == 1500 * 1024)
    // Pages of files can be dropped.
    try write([
      "/sys/fs/cgroup/job/memory.current": "1848000\n",
      "/sys/fs/cgroup/job/memory.stat": "anon 1\ninactive_file 300000\nactive_file 100000\n",
    ])
    #expect(MemoryLimit.available(root: folder.path) == 600_000)
    try write([
      "/proc/self/cgroup": "4:memory:/job\n", "/proc/self/mountinfo": "32 20 0:28 / /one rw - cgroup cgroup rw,memory\n",
      "/one/job/memory.limit_in_bytes": "2000000\n", "/one/job/memory.usage_in_bytes": "1900000\n",
      "/one/job/memory.stat": "inactive_file 1\nactive_file 2\ntotal_inactive_file 50000\ntotal_active_file 60000\n",
    ])
    #expect(MemoryLimit.available(root: folder.path) == 210_000)
  }

  @Test func pagedBytesGrowInPlace() {
    let bytes = PagedBytes()
    #expect(bytes.bytes.isEmpty && bytes.append(UnsafeRawBufferPointer(start: nil, count: 0)))
    var expected: [UInt8] = []
    for round in 0..<40 {
      let more = [UInt8](repeating: UInt8(round), count: 1 + round * 9973)
      expected += more
      #expect(more.withUnsafeBytes { bytes.append($0) })
    }
    #expect(bytes.count == expected.count && bytes.bytes.elementsEqual(expected))
    // Whole pages go, what stands beside them stays.
    bytes.discard(100_000..<(1 << 20))
    #expect(bytes.bytes[..<100_000].elementsEqual(expected[..<100_000]))
    #expect(bytes.bytes[(1 << 20)...].elementsEqual(expected[(1 << 20)...]))
    #expect(bytes.bytes[(1 << 17)..<(1 << 20)].allSatisfy { $0 == 0 })
  }

  @Test func whatCannotBeReadIsNoLimit() throws {
    #expect(MemoryLimit.all(threads: 1, root: folder.path).isEmpty)
    try write(["/proc/meminfo": "MemTotal: lots\n", "/proc/self/limits": "Max address space\n", "/proc/self/status": "VmSize:"])
    #expect(MemoryLimit.all(threads: 1, root: folder.path).isEmpty)
  }

  /// A mount that shows a part of the hierarchy, as in a container without a namespace of its own; blanks in its path.
  @Test func aPartOfTheHierarchyIsMounted() throws {
    try write([
      "/proc/self/cgroup": "4:memory:/docker/abc/inner\n",
      "/proc/self/mountinfo": "32 20 0:28 /docker/abc /a\\040b/memory rw - cgroup cgroup rw,memory\n",
      "/a b/memory/memory.limit_in_bytes": "1000\n", "/a b/memory/inner/memory.limit_in_bytes": "500\n",
    ])
    let limits = ControlGroups(root: folder.path).memory
    #expect(limits.map(\.value) == [500, 1000] && limits.map(\.path) == ["/a b/memory/inner", "/a b/memory"])
    #expect(limits[0].identity != limits[1].identity)
    // A group that is not below what is mounted: the mount's own folder is all that can be seen.
    for path in ["/elsewhere", "/../x", "/docker/abcd"] {
      try write(["/proc/self/cgroup": "4:memory:\(path)\n"])
      #expect(ControlGroups(root: folder.path).memory.map(\.value) == [1000])
    }
  }
}
