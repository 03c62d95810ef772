import BERT4RecDist
import Glibc

/// A mark that a command has come to its end, for scripts whose launcher hides that: mpirun of Open MPI 5 returns 0 when it has
/// lost a host. Where the environment names a file (BERT4REC_DONE_FILE), the first rank makes it as the last thing it does
/// before it leaves with 0.
enum DoneFile {
  static let variable = "BERT4REC_DONE_FILE"

  private static var path: String? {
    guard FirstRank.isThis, let value = getenv(variable) else { return nil }
    return String(cString: value)
  }

  /// A file that is there before says nothing about this run, and may be somebody's; exit code 64.
  static func refuseOld() throws(ProgramFailure) {
    guard let path else { return }
    if path.isEmpty || FileSystem.exists(path) {
      throw ProgramFailure(.usage, "\(variable) must name a file that is not there yet, not '\(path)': remove it, or name another")
    }
  }

  static func write() throws(ProgramFailure) {
    guard let path else { return }
    let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else {
      throw ProgramFailure(.disk, "\(path) (\(variable)) cannot be made: \(String(cString: strerror(errno)))")
    }
    close(descriptor)
  }
}
