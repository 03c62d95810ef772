import Glibc
import SystemSupport

/// Keeps a second run out of a run folder: an flock on the file `lock` in it, which the kernel drops when its owner
/// dies.
package final class RunLock {
  private let descriptor: Int32

  /// Takes the lock. Exit code 64 where another process has it, 74 where the file cannot be made.
  ///
  /// Some cluster file systems are mounted without locks; `log` says so, and the run continues without one.
  package init(_ run: RunFolder, log: (String) -> Void) throws(ProgramFailure) {
    let path = run.path + "/lock"
    let descriptor = try FileSystem.writing { () throws(SystemError) in
      try systemCall("open", path) { open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o666) }
    }
    do throws(SystemError) {
      try systemCall("flock", path) { flock(descriptor, LOCK_EX | LOCK_NB) }
      Self.writeOwner(descriptor)
    } catch {
      switch error.errno {
      case EWOULDBLOCK:
        let owner = Self.readOwner(descriptor)
        close(descriptor)
        throw ProgramFailure(
          .usage,
          "\(run.path) is in use by another run\(owner.isEmpty ? "" : " (\(owner))"): wait for it or stop it, or name "
            + "another folder with --run")
      case ENOLCK, ENOSYS, EOPNOTSUPP, EINVAL:
        log("\(run.path): this file system has no locks (\(error.reason)); take care not to start a second run in it")
      default:
        close(descriptor)
        throw ProgramFailure(.disk, "cannot lock \(path): \(error.reason)")
      }
    }
    self.descriptor = descriptor
  }

  deinit { close(descriptor) }

  /// For the message of whoever comes second. The lock holds without it, so a full disk does not matter here.
  private static func writeOwner(_ descriptor: Int32) {
    let text = Array("process \(getpid()) on \(currentHostName())\n".utf8)
    if ftruncate(descriptor, 0) == 0 { _ = pwrite(descriptor, text, text.count, 0) }
  }

  private static func readOwner(_ descriptor: Int32) -> String {
    var bytes = [UInt8](repeating: 0, count: 300)
    let count = pread(descriptor, &bytes, bytes.count, 0)
    let line = bytes.prefix(max(0, count)).prefix { $0 >= 0x20 && $0 < 0x7F }
    return String(decoding: line, as: UTF8.self)
  }
}
