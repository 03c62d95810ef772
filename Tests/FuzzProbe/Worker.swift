import Glibc
import SystemSupport

/// Where the worker is and what it has found, in memory that its supervisor shares: that survives any end of it.
struct Progress {
  enum Field: Int, CaseIterable {
    case number, done, accepted, usage, badData, unreadable, disk, broken, peakKiB
  }

  private let words: UnsafeMutablePointer<Int64>

  /// Maps a file of the right size.
  init(_ path: String) {
    let size = Field.allCases.count * MemoryLayout<Int64>.size
    let descriptor = open(path, O_RDWR | O_CREAT, 0o600)
    precondition(descriptor >= 0 && ftruncate(descriptor, off_t(size)) == 0, "cannot write \(path)")
    guard let base = mmap(nil, size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0), base != MAP_FAILED else {
      preconditionFailure("cannot map \(path)")
    }
    close(descriptor)
    words = base.assumingMemoryBound(to: Int64.self)
  }

  subscript(field: Field) -> Int {
    get { Int(words[field.rawValue]) }
    nonmutating set { words[field.rawValue] = Int64(newValue) }
  }
}

/// Gives a target its inputs, one after the other, in a process whose time and memory are bounded.
enum Worker {
  /// Of the processor, so that a busy machine makes no hang; and of the clock, for what waits without working.
  static let processorSecondsAnInput = 10
  static let secondsAnInput: UInt32 = 120
  private static let addressSpace: rlim_t = 3 << 30
  /// What the process may come to hold; the inputs are small.
  private static let residentKiB = 1 << 20

  static func run(_ target: FuzzTarget, seed: UInt64, numbers: Range<Int>, progress: Progress) {
    limit()
    for number in numbers {
      progress[.number] = number
      watch()
      if let fault = run(target, seed: seed, number: number, progress) {
        print("FAULT \(target.name) --seed \(seed) --number \(number): \(fault)")
        progress[.broken] += 1
        if progress[.broken] >= 20 { break }
      }
      progress[.done] += 1
    }
    unwatch()
    var usage = rusage()
    getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    progress[.peakKiB] = max(progress[.peakKiB], Int(usage.ru_maxrss))
    if !hasSanitizer && usage.ru_maxrss > residentKiB {
      print("FAULT \(target.name) --seed \(seed): \(usage.ru_maxrss) KiB of memory")
      progress[.broken] += 1
    }
  }

  /// Whoever takes longer is ended by a signal.
  private static func watch() {
    var timer = itimerval()
    timer.it_value.tv_sec = processorSecondsAnInput
    setitimer(__itimer_which_t(ITIMER_PROF.rawValue), &timer, nil)
    alarm(secondsAnInput)
  }

  private static func unwatch() {
    var timer = itimerval()
    setitimer(__itimer_which_t(ITIMER_PROF.rawValue), &timer, nil)
    alarm(0)
  }

  /// What is wrong, or nil.
  private static func run(_ target: FuzzTarget, seed: UInt64, number: Int, _ progress: Progress) -> String? {
    var random = FuzzRandom(seed: seed, target: target.name, number: number)
    let input = target.mutator.input(&random)
    do {
      try target.read(input, &random)
      progress[.accepted] += 1
      return nil
    } catch let failure as ProgramFailure {
      switch failure.exitCode {
      case .usage: progress[.usage] += 1
      case .badData: progress[.badData] += 1
      case .unreadable: progress[.unreadable] += 1
      case .disk: progress[.disk] += 1
      default: break
      }
      return target.objection(to: failure)
    } catch let broken as Broken {
      return "not kept: \(broken.promise)"
    } catch {
      return "neither accepted nor refused: \(error)"
    }
  }

  /// One input, with what became of it.
  static func show(_ target: FuzzTarget, seed: UInt64, number: Int, savingTo path: String?) {
    var random = FuzzRandom(seed: seed, target: target.name, number: number)
    let input = target.mutator.input(&random)
    if let path { put(input, path) }
    print("\(input.count) bytes: \(String(decoding: input.prefix(2000), as: UTF8.self).debugDescription)")
    do {
      try target.read(input, &random)
      print("accepted")
    } catch let failure as ProgramFailure {
      print("refused with \(failure.exitCode.rawValue): \(failure.message)")
      if let objection = target.objection(to: failure) { print("FAULT \(objection)") }
    } catch {
      print("FAULT \(error)")
    }
  }

  /// Sanitizers map terabytes for their own use.
  private static let hasSanitizer = dlsym(nil, "__asan_init") != nil || dlsym(nil, "__tsan_init") != nil

  private static func limit() {
    // Swift Testing's threads block signals, and this process has inherited that.
    var none = sigset_t()
    sigemptyset(&none)
    sigprocmask(SIG_SETMASK, &none, nil)
    for number in [SIGALRM, SIGPROF] { signal(number, SIG_DFL) }
    if hasSanitizer { return }
    var limit = rlimit(rlim_cur: addressSpace, rlim_max: addressSpace)
    setrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &limit)
    // A crash is expected to be reported, not to be stored.
    limit = rlimit(rlim_cur: 0, rlim_max: 0)
    setrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &limit)
  }
}
