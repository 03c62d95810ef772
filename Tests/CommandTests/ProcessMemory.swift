import Foundation

/// The memory of another process, as its debugger would see it: to flip a bit as a failing memory does.
enum ProcessMemory {
  /// Why a test cannot do that here; nil where it can.
  static let obstacle: String? = {
    do {
      return try Program.withTemporaryFolder { folder in
        let sleeper = try Program.start(executable: "/bin/sleep", ["60"], in: folder)
        defer { sleeper.send(SIGKILL) }
        let descriptor = open("/proc/\(sleeper.identifier)/mem", O_RDWR)
        if descriptor < 0 { return "a process's memory cannot be opened here: \(String(cString: strerror(errno)))" }
        close(descriptor)
        return nil
      }
    } catch { return "\(error)" }
  }()

  /// Flips one bit of the byte that stands `offset` after the beginning of each page that begins with `known`. Returns how many there
  /// were. The process should be stopped meanwhile.
  static func flip(_ process: Int32, at known: Data, offset: Int) throws -> Int {
    let descriptor = open("/proc/\(process)/mem", O_RDWR)
    guard descriptor >= 0 else { throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EACCES) }
    defer { close(descriptor) }
    var places: [off_t] = []
    for region in try writableRegions(process) {
      var bytes = [UInt8](repeating: 0, count: region.count)
      let count = pread(descriptor, &bytes, bytes.count, off_t(region.lowerBound))
      for start in stride(from: 0, to: count - known.count + 1, by: 4096) where bytes[start..<(start + known.count)].elementsEqual(known) {
        places.append(off_t(region.lowerBound + start + offset))
      }
    }
    for place in places {
      var byte: UInt8 = 0
      guard pread(descriptor, &byte, 1, place) == 1 else { continue }
      byte ^= 0x04
      guard pwrite(descriptor, &byte, 1, place) == 1 else { throw POSIXError(.EIO) }
    }
    return places.count
  }

  /// Memory of its own, not files.
  private static func writableRegions(_ process: Int32) throws -> [Range<Int>] {
    try String(contentsOfFile: "/proc/\(process)/maps", encoding: .utf8).split(separator: "\n").compactMap { line in
      let fields = line.split(separator: " ", omittingEmptySubsequences: true)
      guard fields.count == 5, fields[1].hasPrefix("rw-p") else { return nil }
      let ends = fields[0].split(separator: "-").compactMap { Int($0, radix: 16) }
      // Stacks of threads and reserved addresses are larger than any buffer here.
      guard ends.count == 2, ends[1] - ends[0] < 1 << 26 else { return nil }
      return ends[0]..<ends[1]
    }
  }
}
