/// Values in Python's pickle, protocol 2 (PEP 307), which Python 2 and 3 read. Written only: a pickle that somebody else has made is a
/// program, and this one runs none.
package struct PickleWriter {
  private var bytes: [UInt8] = [0x80, 2]

  package init() {}

  /// The whole pickle: what was added last is what it holds.
  package consuming func finish() -> [UInt8] {
    bytes.append(UInt8(ascii: "."))
    return bytes
  }

  package mutating func add(_ number: Int64) {
    if let short = Int32(exactly: number) {
      bytes.append(UInt8(ascii: "J"))
      bytes.append(fixed: short)
    } else {
      bytes += [0x8A, 8]
      bytes.append(fixed: number)
    }
  }

  package mutating func add(_ text: String) {
    bytes.append(UInt8(ascii: "X"))
    bytes.append(fixed: UInt32(text.utf8.count))
    bytes += text.utf8
  }

  package mutating func list(_ elements: (inout PickleWriter) -> Void) { collection("]", "e", elements) }

  /// `entries` adds a key and a value, again and again.
  package mutating func dictionary(_ entries: (inout PickleWriter) -> Void) { collection("}", "u", entries) }

  private mutating func collection(_ empty: Unicode.Scalar, _ fill: Unicode.Scalar, _ body: (inout PickleWriter) -> Void) {
    bytes += [UInt8(ascii: empty), UInt8(ascii: "(")]
    body(&self)
    bytes.append(UInt8(ascii: fill))
  }

  /// What a function or a type gives for one argument.
  package mutating func call(module: String, name: String, _ argument: (inout PickleWriter) -> Void) {
    global(module, name)
    argument(&self)
    bytes += [0x85, UInt8(ascii: "R")]
  }

  /// An object of a class, made without its initialiser, with the attributes of a dictionary.
  package mutating func object(module: String, name: String, _ attributes: (inout PickleWriter) -> Void) {
    global(module, name)
    bytes += [UInt8(ascii: ")"), 0x81]
    dictionary(attributes)
    bytes.append(UInt8(ascii: "b"))
  }

  private mutating func global(_ module: String, _ name: String) { bytes += Array("c\(module)\n\(name)\n".utf8) }
}
