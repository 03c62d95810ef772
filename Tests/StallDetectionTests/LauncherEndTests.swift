import Foundation
import ProbeRunner
import Testing

/// Which process above a rank is its launcher.
@Suite struct LauncherEndTests {
  /// The probe below a shell of this name: the name alone makes a launcher. Both run on; the shell waits for its child.
  private func finds(_ name: String) throws -> Bool {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("launcher-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let shell = folder.appendingPathComponent(name)
    try FileManager.default.copyItem(at: URL(fileURLWithPath: "/bin/sh").resolvingSymlinksInPath(), to: shell)
    let result = try Probe.execute(shell.path, ["-c", "echo $$; '\(Probe.path)' launcher; :"])
    #expect(result.status == 0, "\(result.errors)")
    let lines = result.lines
    try #require(lines.count == 2, "\(result.output)")
    return lines[0] == lines[1]
  }

  @Test(arguments: ["mpirun", "orterun", "orted", "prterun", "prted"]) func launchersAreKnown(_ name: String) throws {
    #expect(try finds(name))
  }

  /// A daemon that jobs share, or a step's manager, is left alone.
  @Test(arguments: ["slurmstepd", "prte", "sh"]) func othersAreNot(_ name: String) throws { #expect(try !finds(name)) }
}
