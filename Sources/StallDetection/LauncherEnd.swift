import Glibc
import SystemSupport

/// Sees to it that mpirun returns after the watchdog has ended a run.
///
/// When a rank leaves with an error, mpirun tells its daemons on all hosts to end, and waits until they have closed
/// their connections, with no time limit. A frozen host's system answers for it, so the wait never ends; data to a host
/// that is cut off is sent again for a quarter of an hour, and the daemon there waits as long. So the watchdog leaves a
/// process behind that kills the launcher's process above the rank, should that still be there some seconds later.
///
/// Open MPI 5 itself ends a rank whose peer has left, before its own watchdog speaks. Where mpirun's host is cut off, nobody else
/// tells the daemon above that rank to go. So a rank that does not hear rank 0 leaves such a process behind in time.
package enum LauncherEnd {
  /// What starts ranks of one job and nothing else. A Slurm step's manager, or a daemon that jobs share, is left alone.
  private static let launchers: Set<String> = [
    "mpirun", "mpirun.openmpi", "mpiexec", "mpiexec.openmpi", "orterun", "orted", "prterun", "prted",
  ]

  /// POSIX_SPAWN_SETSID, which the importer does not see, of glibc and musl.
  private static let newSession: Int16 = 0x80

  /// $1: the launcher's process; $2: when it started, since ids are used again; $3: seconds that it is given after the rank's end.
  /// $4 and $5: the rank's process; $6: seconds after which a rank that is still there needs nobody to end its launcher.
  ///
  /// In the background, so that a rank that lives on is not left with a process to collect.
  private static let script = """
    is_there() { # a process that its parent has not collected yet is gone
      [ "$(sed 's/.*) //; s/^[ZX].*//' "/proc/$1/stat" 2>/dev/null | cut -d ' ' -f 20)" = "$2" ]
    }
    {
      seconds=0
      while is_there "$4" "$5"; do
        [ "$seconds" -lt "$6" ] || exit
        sleep 1
        seconds=$((seconds + 1))
      done
      seconds=0
      while [ "$seconds" -lt "$3" ] && is_there "$1" "$2"; do sleep 1; seconds=$((seconds + 1)); done
      ! is_there "$1" "$2" || kill -s KILL "$1"
    } &
    """

  /// For a process that is about to leave by `_exit`, or may be ended within `patience` seconds. Where there is no such launcher,
  /// nothing happens.
  static func enforce(within seconds: Int, patience: Int = 10) {
    guard let launcher = findLauncher(), let own = ProcessStatus(of: getpid()) else { return }
    // mpirun waits until nobody holds the ranks' outputs. Nor is any other descriptor used again here.
    for descriptor in 3..<min(getdtablesize(), 65_536) { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
    var files = posix_spawn_file_actions_t()
    var attributes = posix_spawnattr_t()
    var noSignals = sigset_t()
    sigemptyset(&noSignals)
    posix_spawn_file_actions_init(&files)
    for descriptor: Int32 in 0...2 { posix_spawn_file_actions_addopen(&files, descriptor, "/dev/null", O_RDWR, 0) }
    posix_spawnattr_init(&attributes)
    posix_spawnattr_setsigmask(&attributes, &noSignals)
    // A session of its own: the launcher kills the rank's process group.
    posix_spawnattr_setflags(&attributes, Self.newSession | Int16(POSIX_SPAWN_SETSIGMASK))
    let words = [
      "sh", "-c", script, "sh", "\(launcher.id)", launcher.started, "\(seconds)", "\(getpid())", own.started, "\(patience)",
    ]
    let arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
    let environment: [UnsafeMutablePointer<CChar>?] = [strdup("PATH=/usr/bin:/bin"), nil]
    var id: pid_t = 0
    if posix_spawn(&id, "/bin/sh", &files, &attributes, arguments, environment) == 0 {
      while waitpid(id, nil, 0) < 0, errno == EINTR {}
    }
  }

  /// The nearest launcher above this process; a shell script may stand between.
  package static func findLauncher() -> (id: pid_t, started: String)? {
    var id = getppid()
    for _ in 0..<8 where id > 1 {
      guard let status = ProcessStatus(of: id) else { return nil }
      if launchers.contains(status.name) { return (id, status.started) }
      id = status.parent
    }
    return nil
  }
}

/// A line of /proc/ID/stat: `id (name) state parent ...`; the name may hold blanks and parentheses.
private struct ProcessStatus {
  let name: String
  let parent: pid_t
  let started: String

  init?(of id: pid_t) {
    guard let bytes = try? FileSystem.read("/proc/\(id)/stat", isWork: false) else { return nil }
    let line = String(decoding: bytes, as: UTF8.self)
    guard let open = line.firstIndex(of: "("), let close = line.lastIndex(of: ")"), open < close else { return nil }
    let fields = line[line.index(after: close)...].split(separator: " ")
    guard fields.count > 19, let parent = pid_t(fields[1]) else { return nil }
    name = String(line[line.index(after: open)..<close])
    self.parent = parent
    started = String(fields[19])
  }
}
