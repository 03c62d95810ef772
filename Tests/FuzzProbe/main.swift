// Gives the package's readers damaged inputs, by the thousand: no crash, no hang, no end of memory, and every refusal has
// its exit code and names the place. FuzzTests run it; by hand:
//
//   fuzz-probe --list                                  names of the targets
//   fuzz-probe [TARGET...] [--seed S] [--inputs N]     the inputs 0 ..< N of each target (all, where none is named)
//   fuzz-probe TARGET [--seed S] --number I [--save F] that input again, and what becomes of it
import Glibc
import SystemSupport

func targets(in folder: String) throws -> [FuzzTarget] {
  try TableTargets.all(in: folder) + PackedTargets.all(in: folder) + PreparedTargets.all(in: folder) + CheckpointTargets.all(in: folder)
    + RecordTargets.all(in: folder) + TextTargets.all(in: folder)
}

/// In memory where that is possible and TMPDIR says nothing else: inputs are files for a moment, and disks are slow.
func makeFolder() -> String {
  let parent = getenv("TMPDIR").map { String(cString: $0) } ?? (access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp")
  var template = Array("\(parent)/fuzz-probe-XXXXXX".utf8CString)
  precondition(mkdtemp(&template) != nil, "cannot make a folder in \(parent)")
  return String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
}

struct WrongUsage: Error {}

func usage() -> Never {
  printError("usage: fuzz-probe [--list] [TARGET...] [--seed S] [--inputs N] [--number I [--save FILE]]")
  exit(64)
}

func work(_ arguments: [String]) throws {
  guard arguments.count == 5, let seed = UInt64(arguments[1]), let first = Int(arguments[2]),
    let end = Int(arguments[3])
  else { usage() }
  let folder = arguments[4] + "/files"
  try FileSystem.removeRecursively(folder)
  try FileSystem.createDirectories(folder)
  guard let target = try targets(in: folder).first(where: { $0.name == arguments[0] }) else { usage() }
  Worker.run(target, seed: seed, numbers: first..<end, progress: Progress(arguments[4] + "/progress"))
}

func supervise(_ arguments: [String]) throws -> Bool {
  var (names, seed, count, number, savePath, isList) = ([String](), UInt64(1), 1000, Int?.none, String?.none, false)
  var rest = arguments[...]
  while let argument = rest.popFirst() {
    switch argument {
    case "--list": isList = true
    case "--seed": seed = rest.popFirst().flatMap { UInt64($0) } ?? { usage() }()
    case "--inputs": count = rest.popFirst().flatMap { Int($0) } ?? { usage() }()
    case "--number": number = rest.popFirst().flatMap { Int($0) } ?? { usage() }()
    case "--save": savePath = rest.popFirst() ?? { usage() }()
    default:
      if argument.hasPrefix("-") { usage() }
      names.append(argument)
    }
  }
  let folder = makeFolder()
  // What ends the program from here on must come back to this first.
  defer { try? FileSystem.removeRecursively(folder) }
  let all = try targets(in: folder)
  if isList {
    for target in all { print(target.name) }
    return true
  }
  let known = all.map(\.name)
  guard names.allSatisfy(known.contains) else { throw WrongUsage() }
  if let number {
    guard names.count == 1, let target = all.first(where: { $0.name == names[0] }) else { throw WrongUsage() }
    Worker.show(target, seed: seed, number: number, savingTo: savePath)
    return true
  }
  var isGood = true
  for name in names.isEmpty ? known : names where !Supervisor.run(name, seed: seed, count: count, folder: folder) {
    isGood = false
  }
  return isGood
}

do {
  let arguments = Array(CommandLine.arguments.dropFirst())
  if arguments.first == "--worker" {
    try work(Array(arguments.dropFirst()))
  } else if try !supervise(arguments) {
    fflush(nil)
    exit(1)
  }
} catch is WrongUsage {
  usage()
} catch {
  printError("fuzz-probe: \(error)")
  exit(70)
}
