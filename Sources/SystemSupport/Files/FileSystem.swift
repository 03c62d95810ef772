import Glibc

/// The few file operations that the program needs, over POSIX, with errors that name the path and the reason.
///
/// Reading fails with exit code 66, writing with 74.
package enum FileSystem {
  package enum Kind: Equatable, Sendable { case file, directory, other }

  /// What stands at a path (links followed), or nil where nothing does.
  package static func kind(_ path: String) -> Kind? {
    var status = stat()
    guard stat(path, &status) == 0 else { return nil }
    switch status.st_mode & S_IFMT {
    case S_IFREG: return .file
    case S_IFDIR: return .directory
    default: return .other
    }
  }

  /// Whether anything stands at a path, also a link that leads nowhere.
  package static func exists(_ path: String) -> Bool {
    var status = stat()
    return lstat(path, &status) == 0
  }

  /// What is the same for two paths of one file or folder alone; nil where there is none.
  package static func identity(_ path: String) -> String? {
    var status = stat()
    guard stat(path, &status) == 0 else { return nil }
    return "\(status.st_dev):\(status.st_ino)"
  }

  package static func reading<R>(_ body: () throws(SystemError) -> R) throws(ProgramFailure) -> R {
    do throws(SystemError) { return try body() } catch {
      throw ProgramFailure(error.errno == EIO ? .disk : .unreadable, "cannot read \(error.subject): \(error.reason)")
    }
  }

  package static func writing<R>(_ body: () throws(SystemError) -> R) throws(ProgramFailure) -> R {
    do throws(SystemError) { return try body() } catch {
      throw ProgramFailure(.disk, "cannot write \(error.subject): \(error.reason)")
    }
  }

  /// A whole file. Pipes and devices are read to their end; for large regular files prefer `MappedFile`. What a watchdog reads is no
  /// work of the process that it watches (`isWork`).
  package static func read(_ path: String, limit: Int = .max, isWork: Bool = true) throws(ProgramFailure) -> [UInt8] {
    try reading { () throws(SystemError) in
      let descriptor = try systemCall("open", path) { open(path, O_RDONLY | O_CLOEXEC) }
      defer { close(descriptor) }
      var bytes: [UInt8] = []
      var status = stat()
      let isFile = fstat(descriptor, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
      if isFile { bytes.reserveCapacity(min(limit, Int(status.st_size))) }
      var block = [UInt8](repeating: 0, count: 1 << 16)
      while bytes.count < limit {
        let count = try systemCall("read", path) {
          isFile ? Glibc.read(descriptor, &block, block.count) : Liveness.outside { Glibc.read(descriptor, &block, block.count) }
        }
        if count == 0 { break }
        bytes.append(contentsOf: block[..<min(count, limit - bytes.count)])
        if isWork { Liveness.tick() }
      }
      return bytes
    }
  }

  /// Names in a folder, without `.` and `..`, sorted; empty where the folder is not there.
  package static func list(_ path: String) throws(ProgramFailure) -> [String] {
    guard let directory = opendir(path) else {
      if errno == ENOENT { return [] }
      throw ProgramFailure(.unreadable, "cannot read \(path): \(String(cString: strerror(errno)))")
    }
    defer { closedir(directory) }
    var names: [String] = []
    while let entry = readdir(directory) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != "." && name != ".." { names.append(name) }
    }
    return names.sorted()
  }

  /// Makes a folder and those above it; the new ones survive a power cut.
  package static func createDirectories(_ path: String) throws(ProgramFailure) {
    var prefix = path.hasPrefix("/") ? "/" : ""
    for part in path.split(separator: "/") {
      prefix += (prefix.isEmpty || prefix == "/" ? "" : "/") + part
      if kind(prefix) == .directory { continue }
      let folder = prefix
      try writing { () throws(SystemError) in
        do throws(SystemError) { try systemCall("mkdir", folder) { mkdir(folder, 0o777) } } catch {
          if error.errno != EEXIST || kind(folder) != .directory { throw error }
        }
      }
      try syncDirectory(parent(of: folder), mayBeClosed: true)
    }
  }

  private static let durablePiece = 1 << 26

  /// Writes a file and forces it to the disk. Whoever wants all or nothing writes beside the target and renames.
  package static func writeDurably(_ path: String, _ parts: [UnsafeRawBufferPointer]) throws(ProgramFailure) {
    try writeDurably(path) { (take) throws(ProgramFailure) in
      for part in parts { try take(part) }
    }
  }

  /// The same of what does not exist as a whole: `make` calls its argument with one part after the other.
  package static func writeDurably(
    _ path: String, _ make: (_ take: @escaping (UnsafeRawBufferPointer) throws(ProgramFailure) -> Void) throws(ProgramFailure) -> Void
  ) throws(ProgramFailure) {
    let descriptor = try writing { () throws(SystemError) in
      try systemCall("open", path) { open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666) }
    }
    var unforced = 0
    do throws(ProgramFailure) {
      try make { (part) throws(ProgramFailure) in
        try writing { () throws(SystemError) in
          for start in stride(from: 0, to: part.count, by: Self.durablePiece) {
            // Forced to the disk piece by piece, so that a slow disk is seen to get on.
            if unforced >= Self.durablePiece {
              try systemCall("fdatasync", path) { fdatasync(descriptor) }
              unforced = 0
            }
            let end = min(start + Self.durablePiece, part.count)
            try writeAll(descriptor, UnsafeRawBufferPointer(rebasing: part[start..<end]), path)
            unforced += end - start
          }
        }
      }
      try writing { () throws(SystemError) in _ = try systemCall("fsync", path) { fsync(descriptor) } }
    } catch {
      close(descriptor)
      throw error
    }
    // Some file systems report a failed write only here.
    try writing { () throws(SystemError) in _ = try systemCall("close", path) { close(descriptor) } }
  }

  package static func writeDurably(_ path: String, _ bytes: [UInt8]) throws(ProgramFailure) {
    let result = bytes.withUnsafeBytes { buffer in
      Result { () throws(ProgramFailure) in try writeDurably(path, [buffer]) }
    }
    try result.get()
  }

  package static func writeAll(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer, _ path: String) throws(SystemError) {
    var rest = bytes
    while !rest.isEmpty {
      // In pieces, so that long writes are seen to get on; Linux takes at most 2 GiB in one call.
      let count = try systemCall("write", path) { write(descriptor, rest.baseAddress, min(rest.count, 1 << 24)) }
      Liveness.tick()
      rest = UnsafeRawBufferPointer(rebasing: rest[count...])
    }
  }

  package static func rename(_ source: String, _ target: String) throws(ProgramFailure) {
    try writing { () throws(SystemError) in _ = try systemCall("rename", target) { Glibc.rename(source, target) } }
  }

  /// Makes renames and new names in a folder survive a power cut. One that `mayBeClosed` may be somebody else's that only lets names
  /// be made in it: that it cannot be opened is no failure then.
  package static func syncDirectory(_ path: String, mayBeClosed: Bool = false) throws(ProgramFailure) {
    try writing { () throws(SystemError) in
      let descriptor: Int32
      do throws(SystemError) {
        descriptor = try systemCall("open", path) { open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
      } catch {
        if mayBeClosed && error.errno == EACCES { return }
        throw error
      }
      defer { close(descriptor) }
      try systemCall("fsync", path) { fsync(descriptor) }
    }
  }

  /// Removes a file or a folder with all that is in it; links are removed, not followed. Nothing there is no error.
  package static func removeRecursively(_ path: String) throws(ProgramFailure) {
    var status = stat()
    guard lstat(path, &status) == 0 else { return }
    if status.st_mode & S_IFMT == S_IFDIR {
      for name in try list(path) { try removeRecursively(path + "/" + name) }
      try writing { () throws(SystemError) in _ = try systemCall("rmdir", path) { rmdir(path) } }
    } else {
      try writing { () throws(SystemError) in _ = try systemCall("unlink", path) { unlink(path) } }
    }
  }

  package static func parent(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  package static func lastComponent(of path: String) -> String {
    String(path.split(separator: "/").last ?? "")
  }
}
