import SystemSupport
import Testing

@Suite struct HashTests {
  /// FIPS 180-4's examples.
  @Test func knownAnswers() {
    #expect(sha256Hex([]) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    #expect(sha256Hex(Array("abc".utf8)) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    #expect(
      sha256Hex([UInt8](repeating: UInt8(ascii: "a"), count: 1_000_000))
        == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0")
  }

  @Test func piecesMakeTheWhole() {
    var hasher = SHA256Hasher()
    for piece in ["", "a", "", "bc"] { hasher.update(Array(piece.utf8)) }
    #expect(hasher.hexDigest() == sha256Hex(Array("abc".utf8)))
  }
}
