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

/// The hashes of ranges of a file, each made by a thread of its own, since gigabytes take seconds; read once.
package func sha256Hexes(_ file: MappedFile, _ ranges: [Range<Int>]) throws(ProgramFailure) -> [String] {
  let work = HashWork(file, ranges)
  let queue = try WorkQueue(threads: ranges.count) { _, piece in work.hash(piece) }
  queue.run(pieces: ranges.count)
  queue.stop()
  return work.digests
}

private final class HashWork: @unchecked Sendable {
  private let file: MappedFile
  private let ranges: [Range<Int>]
  private let found: Locked<[String]>

  init(_ file: MappedFile, _ ranges: [Range<Int>]) {
    self.file = file
    self.ranges = ranges
    found = Locked([String](repeating: "", count: ranges.count))
  }

  func hash(_ index: Int) {
    var hasher = SHA256Hasher()
    file.readOnce(ranges[index]) { hasher.update($0) }
    let digest = hasher.hexDigest()
    found.withLock { $0[index] = digest }
  }

  var digests: [String] { found.withLock { $0 } }
}
