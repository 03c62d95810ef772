import SystemSupport

/// How much may be unpacked: what memory there is, whatever a file says.
final class UnpackingBound {
  /// What messages call the file.
  let name: String
  let packing: Packing
  /// To ask what memory there is takes longer than to unpack as little as that.
  private static let unasked = 1 << 22
  private(set) lazy var bytes = Self.available

  init(name: String, packing: Packing) { (self.name, self.packing) = (name, packing) }

  /// Seven eighths of the memory that this process can take now; the rest is for what is made of the bytes first.
  static var available: Int { Int(min(MemoryLimit.available() * 7 / 8, 0x1p46)) }

  func check(_ count: some BinaryInteger) throws(ProgramFailure) { if count > Self.unasked, count > bytes { throw failure } }

  var failure: ProgramFailure {
    ProgramFailure(
      .badData,
      "\(name): \(packing.name) of which more than \(MemorySize.text(Double(bytes))) would be unpacked, and there is no more memory "
        + "here; unpack it to a file (\(packing.command)), which may be larger than memory, and give that, or use a larger machine")
  }
}
