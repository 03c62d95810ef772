import Glibc
import SystemSupport

/// Runs workers, and finds out which input ended one.
enum Supervisor {
  /// Returns whether all went well; prints a line with the figures.
  static func run(_ target: String, seed: UInt64, count: Int, folder: String) -> Bool {
    let progress = Progress(folder + "/progress")
    for field in Progress.Field.allCases { progress[field] = 0 }
    let start = seconds()
    var (next, deaths) = (0, 0)
    while next < count, deaths < 5, progress[.broken] < 20 {
      guard let death = work(target, seed: seed, numbers: next..<count, folder: folder) else { break }
      print("FAULT \(target) --seed \(seed) --number \(progress[.number]): \(death)")
      deaths += 1
      next = progress[.number] + 1
    }
    let figures = [
      "inputs \(progress[.done])", "seconds \(Double(Int((seconds() - start) * 10)) / 10)",
      "accepted \(progress[.accepted])", "refused with 64: \(progress[.usage])", "65: \(progress[.badData])",
      "66: \(progress[.unreadable])", "74: \(progress[.disk])", "faults \(progress[.broken])", "deaths \(deaths)",
      "peak \(progress[.peakKiB] / 1024) MiB",
    ]
    print("\(target): \(figures.joined(separator: ", "))")
    fflush(nil)
    return deaths == 0 && progress[.broken] == 0 && progress[.done] == count
  }

  private static func seconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }

  /// How a worker died, or nil.
  private static func work(_ target: String, seed: UInt64, numbers: Range<Int>, folder: String) -> String? {
    fflush(nil)
    let arguments = [
      "fuzz-probe", "--worker", target, "\(seed)", "\(numbers.lowerBound)", "\(numbers.upperBound)", folder,
    ]
    var pointers = arguments.map { strdup($0) } + [nil]
    defer { for pointer in pointers { free(pointer) } }
    var process = pid_t()
    let code = posix_spawn(&process, "/proc/self/exe", nil, nil, &pointers, environ)
    precondition(code == 0, "cannot start a worker: \(String(cString: strerror(code)))")
    var status: Int32 = 0
    while waitpid(process, &status, 0) < 0, errno == EINTR {}
    let signal = status & 0x7F
    if signal == SIGPROF { return "no end within \(Worker.processorSecondsAnInput) seconds of work" }
    if signal == SIGALRM { return "no end within \(Worker.secondsAnInput) seconds" }
    if signal != 0 { return "ended by signal \(signal), \(String(cString: strsignal(signal)))" }
    let exitCode = (status >> 8) & 0xFF
    return exitCode == 0 ? nil : "ended with exit code \(exitCode)"
  }
}
