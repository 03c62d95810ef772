import ArgumentParser
import BERT4RecDist
import Glibc

import enum SystemSupport.TerminalText

/// `bert4rec-dist prepare`: interactions in any known format -> statistics, a prepared folder, plain pairs.
struct PrepareCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "prepare",
    abstract: "Read interactions in any known format, show their statistics, write a data set folder or plain pairs.",
    discussion: """
      Formats are recognised by the first lines of a file. What was recognised is
      printed: the format, each column with what it is taken for, and the columns
      that are not used, each with a value.

        user item               one interaction a line, the oldest first;
                                one space, or a tab, comma, '::', ';' or '|'
        user item rating time   as ml-100k's u.data (tab), ml-1m's ratings.dat
                                ('::') and Amazon's ratings (comma)
        named columns           userId,movieId,rating,timestamp, or
                                customer,sku,created_at, ... (names: below)
        RecBole .inter          user_id:token item_id:token timestamp:float,
                                also with item_id_list:token_seq
        lists                   user<TAB>item item ..., user,"[1, 2]", or lines
                                user item item ... (--format lists)
        JSON, Python            an object a line, or one array of them; keys as
                                named columns; also events in an array
        Netflix, YooChoose, Taobao, check-ins with coordinates

      Files may be compressed (gzip, zstd, xz, bzip2). In a zip or tar archive
      ratings.dat, u.data, ratings.csv, *.inter or the only file is found;
      ARCHIVE:FILE names another, such as ml-1m.zip:ml-1m/ratings.dat.

      Times are epochs in s, ms, us or ns, ISO-8601 text (with an offset, a zone
      such as UTC, or none), 20140103, 03.01.2014 or Tue Apr 03 18:00:09 +0000
      2012; --time-format says others. They order each user's interactions. Of
      several times that agree the finest counts; where they disagree, the program
      stops and names them. Ids may be any text and are kept as they are. NA, N/A,
      null, None, NaN, \\N and empty ids are missing. Rows that cannot be read are
      shown and counted; more than 1 % stop the program.

      Filters are counted in the statistics and work in this order: --events,
      --min-rating, --before and --after on rows; then --drop-duplicates,
      --collapse-repeats, --last; then --min-user-count and --min-item-count,
      again and again until both hold. --split-time takes the targets away after
      the filters on rows; all others are for the histories alone.

      'bert4rec-dist train --data' takes the folder that --output writes, or the
      raw files themselves, with the same --format, --columns, --time-format and
      --split-time; --set data_NAME= for a filter --NAME (data_min_user_count=5)
      and data_skip_bad_rows=true.

      Names of formats:
      \(DataFormat.allCases.map { "  \($0.rawValue): \($0.help)" }.joined(separator: "\n"))

      Names of columns (case, _, - and spaces do not count), the first that is there:
      \(ColumnChoice.acceptedNames)

      \(CommandHelp.end(examples: [
        "bert4rec-dist prepare ratings.csv", "bert4rec-dist prepare ml-1m.zip --min-user-count 5 --output prepared",
        "bert4rec-dist prepare pairs.txt --write-tfrecord records --recipe ml-1m",
      ]))
      """)

  @Argument(
    help: ArgumentHelp(
      "Files that are one data set, in this order (- is standard input), or a prepared folder.", valueName: "input"), completion: .file())
  var inputs: [String]

  @OptionGroup(title: "What the files are") var reading: FormatOptions

  @OptionGroup(title: "Filters") var filters: FilterOptions

  @Option(
    help: ArgumentHelp("Write the data set folder here; an older one there is replaced.", valueName: "folder"), completion: .directory)
  var output: String?

  @Option(
    help: ArgumentHelp(
      "Write plain lines 'user item' in time order, as SASRec and BERT4Rec read them.", valueName: "file"), completion: .file())
  var writePairs: String?

  @Option(
    help: ArgumentHelp(
      "With --split-time, write the targets as lines 'user item'; what --output and --write-pairs write are the histories.",
      valueName: "file"))
  var writeTargets: String?

  @Option(
    name: .customLong("write-tfrecord"),
    help: ArgumentHelp(
      "Write what the original's generator writes, as its run.py reads it: NAME.train.tfrecord, NAME.test.tfrecord, NAME.vocab and NAME.his, "
        + "and items.tsv for train --tfrecord. --recipe, --config and --set say how instances are made.", valueName: "folder"),
    completion: .directory)
  var writeTFRecord: String?

  @Option(help: ArgumentHelp("With --write-tfrecord: one of the program's recipes.", valueName: "name"), completion: CommandHelp.recipes)
  var recipe: String?

  @Option(help: ArgumentHelp("With --write-tfrecord: a configuration, as train takes it.", valueName: "file"), completion: .file())
  var config: String?

  @Option(
    name: .customLong("set"),
    help: ArgumentHelp(
      "With --write-tfrecord: set a configuration key, such as masked_lm_prob; may be repeated. Without --recipe and --config holdout is "
        + "test, as the original's.", valueName: "key=value"),
    completion: CommandHelp.keys)
  var settings: [String] = []

  @OptionGroup var display: ProgressOptions

  @Flag(help: "Leave out any number of rows that cannot be read, instead of stopping at more than 1 %.")
  var skipBadRows = false

  func validate() throws {
    if writeTargets != nil, filters.splitTime == nil { throw ValidationError("--write-targets needs --split-time.") }
    if writeTFRecord != nil, filters.splitTime != nil {
      throw ValidationError("--write-tfrecord holds each user's last item out, as the original does: leave out --split-time.")
    }
    if writeTFRecord == nil, recipe != nil || config != nil || !settings.isEmpty {
      throw ValidationError("--recipe, --config and --set are for --write-tfrecord.")
    }
    if let writeTargets, writeTargets == writePairs { throw ValidationError("--write-targets and --write-pairs name one file.") }
  }

  func run() throws {
    Ranks.withCommunicator(showing: display.mode) { (communicator) throws(CollectiveFailure) in
      // More ranks have nothing to do: reading is one process's work.
      try communicator.onRankZero { () throws(ProgramFailure) in try prepare() }
      return .success
    }
  }

  private func prepare() throws(ProgramFailure) {
    var options = try reading.options() ?? LoadingOptions()
    options.skipBadRows = skipBadRows
    (options.filters, options.splitTime) = (try filters.filters(), try filters.split())
    // Before the work, not after it.
    if let output { try PreparedFolder.checkTarget(output) }
    for (option, path) in [("--write-pairs", writePairs), ("--write-targets", writeTargets)] {
      guard let path else { continue }
      try PairsFile.checkTarget(path)
      for input in inputs where Self.isSameFile(InputPaths.file(of: input), path) {
        throw ProgramFailure(.usage, "\(option) \(path) is an input; give another file")
      }
    }
    let instances = try writeTFRecord.map { _ throws(ProgramFailure) in try instanceConfiguration() }
    if let writeTFRecord { try NewFolder.checkTarget(writeTFRecord) }
    // How the files are read stands before what came of it; where nothing came of it, it is no result.
    var report: [String] = []
    let loaded: LoadedDataset
    do throws(ProgramFailure) {
      loaded = try DatasetLoader.load(inputs, options: options, report: { report.append($0) }, log: { printError($0) })
    } catch {
      for line in report { printError(line) }
      throw error
    }
    for line in report { printResult(TerminalText.escaped(line, keepsLineEnds: false)) }
    printResult("data set                  \(loaded.dataset.name)")
    printResult(loaded.statistics.description)
    printResult("fingerprint               \(loaded.dataset.fingerprint)")
    if let writePairs {
      try PairsFile.write(loaded.dataset, to: writePairs)
      printError("pairs written to \(writePairs)")
    }
    if let writeTargets, let targets = loaded.targets {
      try PairsFile.write(targets, to: writeTargets)
      printError("targets written to \(writeTargets)")
    }
    if let writeTFRecord, let instances {
      let counts = try OriginalFiles(loaded.dataset, instances).write(to: writeTFRecord)
      printError(
        "\(counts.training) training and \(counts.test) test instances written to \(writeTFRecord) (holdout \(instances.holdout.rawValue), "
          + "max_seq_length \(instances.maximumSequenceLength), max_predictions_per_seq \(instances.resolvedMaximumPredictions))")
    }
    if let output {
      try PreparedFolder.write(loaded, to: output)
      printError("data set written to \(output); train on it with: bert4rec-dist train --data \(output)")
    }
    if output == nil && writePairs == nil && writeTargets == nil && writeTFRecord == nil {
      printError("nothing written (use --output, --write-pairs or --write-tfrecord)")
    }
  }

  /// How instances are made; what is read is said by the command's own options.
  private func instanceConfiguration() throws(ProgramFailure) -> RunConfiguration {
    var options = TrainingOptions()
    options.recipe = recipe
    options.configurationFile = config
    options.data = InputPaths.joined(inputs)
    options.settings = (recipe == nil && config == nil ? ["holdout=test"] : []) + settings
    return try options.configuration()
  }

  private static func isSameFile(_ first: String, _ second: String) -> Bool {
    var (one, other) = (stat(), stat())
    guard stat(first, &one) == 0, stat(second, &other) == 0 else { return false }
    return one.st_mode & S_IFMT == S_IFREG && one.st_dev == other.st_dev && one.st_ino == other.st_ino
  }
}
