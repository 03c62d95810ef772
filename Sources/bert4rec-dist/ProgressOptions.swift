import ArgumentParser
import BERT4RecDist
import Glibc

extension ProgressMode: ExpressibleByArgument {}

/// How a command shows what it is doing.
struct ProgressOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "bar: one line of a terminal, drawn again and again; plain: a line per ten seconds; none; auto: bar on a terminal, plain elsewhere and "
        + "under mpirun and Slurm. On standard error, never in colours.",
      valueName: "auto|bar|plain|none"))
  var progress = ProgressMode.auto

  /// What the display does. Where addresses are limited (ulimit -v), its thread would take those of the work: there is none.
  var mode: ProgressMode { Self.addressesAreLimited ? .none : progress.here }

  /// By ulimit -v or -d.
  private static var addressesAreLimited: Bool {
    [RLIMIT_AS, RLIMIT_DATA].contains { resource in
      var limit = rlimit()
      return getrlimit(__rlimit_resource_t(resource.rawValue), &limit) == 0 && limit.rlim_cur != rlim_t.max
    }
  }

  /// What training logs by itself.
  var lines: TrainingLines { progress == .none || mode == .bar ? .ends : .periodic }
}
