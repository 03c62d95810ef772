import Crypto

/// SHA-256 over several pieces, as 64 hex digits.
package struct SHA256Hasher {
  private var hasher = SHA256()

  package init() {}

  package mutating func update(_ bytes: UnsafeRawBufferPointer) {
    // Gigabytes take seconds.
    let piece = 1 << 22
    for start in stride(from: 0, to: bytes.count, by: piece) {
      hasher.update(bufferPointer: UnsafeRawBufferPointer(rebasing: bytes[start..<min(start + piece, bytes.count)]))
      Liveness.tick()
    }
  }

  package mutating func update(_ bytes: [UInt8]) { bytes.withUnsafeBytes { update($0) } }

  package func hexDigest() -> String {
    let digits = Array("0123456789abcdef".utf8)
    var text: [UInt8] = []
    for byte in hasher.finalize() {
      text.append(digits[Int(byte >> 4)])
      text.append(digits[Int(byte & 15)])
    }
    return String(decoding: text, as: UTF8.self)
  }
}

package func sha256Hex(_ bytes: UnsafeRawBufferPointer) -> String {
  var hasher = SHA256Hasher()
  hasher.update(bytes)
  return hasher.hexDigest()
}

package func sha256Hex(_ bytes: [UInt8]) -> String { bytes.withUnsafeBytes { sha256Hex($0) } }

/// The hashes of several pieces of memory, each made by a thread of its own: gigabytes take seconds.
package func sha256Hexes(_ pieces: [UnsafeRawBufferPointer]) throws(ProgramFailure) -> [String] {
  let work = HashWork(pieces)
  let queue = try WorkQueue(threads: pieces.count) { _, piece in work.hash(piece) }
  queue.run(pieces: pieces.count)
  queue.stop()
  return work.digests
}

private final class HashWork: @unchecked Sendable {
  private let pieces: [UnsafeRawBufferPointer]
  private let found: Locked<[String]>

  init(_ pieces: [UnsafeRawBufferPointer]) {
    self.pieces = pieces
    found = Locked([String](repeating: "", count: pieces.count))
  }

  func hash(_ piece: Int) {
    let digest = sha256Hex(pieces[piece])
    found.withLock { $0[piece] = digest }
  }

  var digests: [String] { found.withLock { $0 } }
}
