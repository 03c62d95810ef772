import ArgumentParser
import BERT4RecDist
import Glibc

/// `bert4rec-dist prepare`: interactions in any known format -> statistics, a prepared folder, plain pairs.
struct PrepareCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "prepare",
    abstract: "Read interactions in any known format, show their statistics, write a data set folder or plain pairs.",
    discussion: """
      Formats are recognised by the first lines of a file, and named:

        user item               one interaction a line, the oldest first;
                                one space, or a tab, comma, '::' or ';'
        user item rating time   as ml-100k's u.data (tab), ml-1m's ratings.dat
                                ('::') and Amazon's ratings (comma)
        named columns           userId,movieId,rating,timestamp, or
                                user_id,item_id,weight,datetime, ...
        RecBole .inter          user_id:token item_id:token timestamp:float

      Times are epochs in s, ms, us or ns, or ISO-8601 text; they order each
      user's interactions. Ids may be any text and are kept as they are. Rows
      that cannot be read are shown and counted; more than 1 % stop the program.

      'bert4rec-dist train --data' takes the folder that --output writes, or the
      raw file itself.
      """)

  @Argument(
    help: ArgumentHelp(
      "Files that are one data set, in this order (- is standard input), or a prepared folder.", valueName: "input"))
  var inputs: [String]

  @Option(
    help: ArgumentHelp("Write the data set folder here; an older one there is replaced.", valueName: "folder"))
  var output: String?

  @Option(
    help: ArgumentHelp(
      "Write plain lines 'user item' in time order, as SASRec and BERT4Rec read them.", valueName: "file"))
  var writePairs: String?

  @Flag(help: "Leave out any number of rows that cannot be read, instead of stopping at more than 1 %.")
  var skipBadRows = false

  func run() throws {
    // Before the work, not after it.
    if let output { try PreparedFolder.checkTarget(output) }
    if let writePairs {
      try PairsFile.checkTarget(writePairs)
      for input in inputs where Self.isSameFile(input, writePairs) {
        throw Failure(.usage, "--write-pairs \(writePairs) is an input; give another file")
      }
    }
    let loaded = try DatasetLoader.load(inputs, options: LoadingOptions(skipBadRows: skipBadRows)) { printError($0) }
    print("data set                  \(loaded.dataset.name)")
    print(loaded.statistics.description)
    print("fingerprint               \(loaded.dataset.fingerprint)")
    if let writePairs {
      try PairsFile.write(loaded.dataset, to: writePairs)
      printError("pairs written to \(writePairs)")
    }
    if let output {
      try PreparedFolder.write(loaded, to: output)
      printError("data set written to \(output); train on it with: bert4rec-dist train --data \(output)")
    }
    if output == nil && writePairs == nil {
      printError("nothing is written without --output or --write-pairs")
    }
  }

  private static func isSameFile(_ first: String, _ second: String) -> Bool {
    var (one, other) = (stat(), stat())
    guard stat(first, &one) == 0, stat(second, &other) == 0 else { return false }
    return one.st_mode & S_IFMT == S_IFREG && one.st_dev == other.st_dev && one.st_ino == other.st_ino
  }
}
