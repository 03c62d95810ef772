import Glibc

/// A rank's threads: they live as long as the run, sleep between jobs, and all do the same job with an index of their own. The
/// thread that calls `run` is number 0.
///
/// The job is fixed at the start and takes a number that says what is to be done, so that a step allocates nothing.
package final class ThreadTeam: @unchecked Sendable {
  package let count: Int
  private let job: @Sendable (_ thread: Int, _ task: Int) -> Void
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let wake = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
  private let done = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
  private var threads: [pthread_t] = []
  // Guarded by the mutex.
  private var generation = 0
  private var task = 0
  private var running = 0
  private var isOver = false

  package init(count: Int, job: @escaping @Sendable (_ thread: Int, _ task: Int) -> Void) throws(ProgramFailure) {
    precondition(count > 0)
    self.count = count
    self.job = job
    pthread_mutex_init(mutex, nil)
    pthread_cond_init(wake, nil)
    pthread_cond_init(done, nil)
    for index in 1..<max(count, 1) {
      var thread = pthread_t()
      let start = Unmanaged.passRetained(ThreadStart(team: self, index: index))
      let code = pthread_create(
        &thread, nil,
        { argument in
          guard let argument else { return nil }
          let start = Unmanaged<ThreadStart>.fromOpaque(argument).takeRetainedValue()
          start.team.work(start.index)
          return nil
        }, start.toOpaque())
      if code != 0 {
        start.release()
        stop()
        throw ProgramFailure(
          .internalFault, "thread \(index) of \(count) cannot be started: \(String(cString: strerror(code))); try fewer threads")
      }
      threads.append(thread)
    }
  }

  /// Runs the job on every thread and returns when all are done.
  package func run(_ task: Int) {
    if count == 1 { return job(0, task) }
    pthread_mutex_lock(mutex)
    self.task = task
    running = count - 1
    generation += 1
    pthread_cond_broadcast(wake)
    pthread_mutex_unlock(mutex)
    job(0, task)
    pthread_mutex_lock(mutex)
    while running > 0 { pthread_cond_wait(done, mutex) }
    pthread_mutex_unlock(mutex)
  }

  /// Ends the threads; the team cannot be used afterwards. Its owner calls it, since the threads hold the team.
  package func stop() {
    pthread_mutex_lock(mutex)
    isOver = true
    pthread_cond_broadcast(wake)
    pthread_mutex_unlock(mutex)
    for thread in threads { pthread_join(thread, nil) }
    threads = []
  }

  private func work(_ index: Int) {
    var seen = 0
    while true {
      pthread_mutex_lock(mutex)
      while generation == seen && !isOver { pthread_cond_wait(wake, mutex) }
      if isOver {
        pthread_mutex_unlock(mutex)
        return
      }
      seen = generation
      let task = task
      pthread_mutex_unlock(mutex)
      job(index, task)
      pthread_mutex_lock(mutex)
      running -= 1
      if running == 0 { pthread_cond_signal(done) }
      pthread_mutex_unlock(mutex)
    }
  }

  deinit {
    pthread_mutex_destroy(mutex)
    pthread_cond_destroy(wake)
    pthread_cond_destroy(done)
    mutex.deallocate()
    wake.deallocate()
    done.deallocate()
  }
}

private final class ThreadStart {
  let team: ThreadTeam
  let index: Int
  init(team: ThreadTeam, index: Int) {
    self.team = team
    self.index = index
  }
}
