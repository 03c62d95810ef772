import Foundation
import TestSupport

/// Packs bytes as users do, by the programs that they use.
struct Packer: CustomStringConvertible, Sendable {
  let description: String
  /// The file's ending.
  let ending: String
  /// What the shell does in the folder of the file `$1`; the result is `$2`.
  private let command: String
  /// Programs that it takes.
  private let programs: [String]

  static let streams = [
    Packer("gzip", ".gz", "gzip -c \"$1\" > \"$2\"", ["gzip"]),
    Packer("zstd", ".zst", "zstd -q -c \"$1\" > \"$2\"", ["zstd"]),
    Packer("xz", ".xz", "xz -c \"$1\" > \"$2\"", ["xz"]),
    Packer("bzip2", ".bz2", "bzip2 -c \"$1\" > \"$2\"", ["bzip2"]),
    // Two members, cut anywhere.
    Packer("gzip of two members", ".gz", "{ head -c 1000 \"$1\" | gzip; tail -c +1001 \"$1\" | gzip -1; } > \"$2\"", ["gzip"]),
  ]

  static let archives = [
    Packer("zip", ".zip", "zip -q \"$2\" \"$1\"", ["zip"]),
    Packer("stored zip", ".zip", "zip -q -0 \"$2\" \"$1\"", ["zip"]),
    Packer("tar", ".tar", "tar -cf \"$2\" \"$1\"", ["tar"]),
    Packer("tar in gzip", ".tgz", "tar -czf \"$2\" \"./$1\"", ["tar", "gzip"]),
    Packer("tar in zstd", ".tar.zst", "tar -c \"$1\" | zstd -q -c > \"$2\"", ["tar", "zstd"]),
    Packer("tar in xz", ".tar.xz", "tar -cJf \"$2\" \"$1\"", ["tar", "xz"]),
    Packer("gzip in zip", ".zip", "gzip -k \"$1\" && zip -q \"$2\" \"$1.gz\"", ["gzip", "zip"]),
  ]

  static let all = streams + archives

  private init(_ description: String, _ ending: String, _ command: String, _ programs: [String]) {
    (self.description, self.ending, self.command, self.programs) = (description, ending, command, programs)
  }

  /// Whether this machine has the programs; tests of the others say that they skip.
  var isThere: Bool {
    programs.allSatisfy { program in
      (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
        .contains { FileManager.default.isExecutableFile(atPath: "\($0)/\(program)") }
    }
  }

  /// Packs a file of a folder; the name of the result, which is there.
  func pack(_ name: String, in folder: String, to target: String? = nil) throws -> String {
    let target = target ?? name + ending
    try Self.shell(command, [name, target], in: folder)
    return target
  }

  static func shell(_ command: String, _ arguments: [String] = [], in folder: String) throws {
    let result = try Command.execute("/bin/sh", ["-c", command, "sh"] + arguments, in: folder)
    if result.status != 0 { throw CocoaError(.executableLoad, userInfo: ["command": command, "errors": result.errors]) }
  }
}
