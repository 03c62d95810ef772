import ArgumentParser
import BERT4RecDist

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
  var mode: ProgressMode { LimitedAddressSpace.isLimited ? .none : progress.here }

  /// What training logs by itself.
  var lines: TrainingLines { progress == .none || mode == .bar ? .ends : .periodic }
}
