import BERT4RecDist

/// Reads lines `listener: song | song | song`, each the listener's whole history.
func readPlaylists(_ text: String) throws(ProgramFailure) -> Dataset {
  var histories: [(user: String, items: [String])] = []
  for (number, line) in text.split(separator: "\n").enumerated() {
    guard let colon = line.firstIndex(of: ":") else {
      throw ProgramFailure(.badData, "line \(number + 1): no colon between the listener and the songs")
    }
    let songs = line[line.index(after: colon)...].split(separator: "|").map { $0.trimmingPrefix { $0 == " " } }
    histories.append((String(line[..<colon]), songs.map { String($0.reversed().trimmingPrefix { $0 == " " }.reversed()) }))
  }
  return Dataset(name: "playlists", histories: histories)
}
