/// A masked instance as the original stores it: a `tf.train.Example` (core/example/example.proto) of six features. L tokens and P masked
/// positions are those of its flags, so the end of each list is padding.
package struct InstanceExample: Sendable, Equatable {
  /// The user's number.
  package var info: [Int64] = []  // (1)
  package var inputIDs: [Int64] = []  // (L)
  /// 1 for tokens, 0 for padding.
  package var inputMask: [Int64] = []  // (L)
  package var maskedPositions: [Int64] = []  // (P)
  package var maskedIDs: [Int64] = []  // (P)
  /// 1 for masked positions, 0 for padding.
  package var maskedWeights: [Float] = []  // (P)

  package init() {}

  private static let integers: [(name: String, path: WritableKeyPath<InstanceExample, [Int64]> & Sendable)] = [
    ("info", \.info), ("input_ids", \.inputIDs), ("input_mask", \.inputMask), ("masked_lm_positions", \.maskedPositions),
    ("masked_lm_ids", \.maskedIDs),
  ]
  private static let weights = "masked_lm_weights"

  // MARK: Reading

  /// Becomes what a message says; the lists keep their room. Returns what is wrong with the message where something is. Features of other
  /// names are left out, as TensorFlow's parser does.
  package mutating func read(_ message: UnsafeRawBufferPointer) -> String? {
    for feature in Self.integers { self[keyPath: feature.path].removeAll(keepingCapacity: true) }
    maskedWeights.removeAll(keepingCapacity: true)
    var found = 0
    var example = ProtobufFields(message)
    while let (field, value) = example.next() {
      guard field == 1, case .bytes(let bytes) = value else { continue }
      var features = ProtobufFields(bytes)
      while let (field, value) = features.next() {
        guard field == 1, case .bytes(let entry) = value else { continue }
        if let problem = readFeature(entry, &found) { return problem }
      }
      if features.isMalformed { return "no message of features" }
    }
    if example.isMalformed { return "no tf.train.Example" }
    for (place, name) in (Self.integers.map(\.name) + [Self.weights]).enumerated() where found & 1 << place == 0 {
      return "no feature \"\(name)\""
    }
    return nil
  }

  /// An entry of the map: name and feature. `found` has a bit per feature.
  private mutating func readFeature(_ entry: UnsafeRawBufferPointer, _ found: inout Int) -> String? {
    var name: UnsafeRawBufferPointer?
    var feature: UnsafeRawBufferPointer?
    var fields = ProtobufFields(entry)
    while let (field, value) = fields.next() {
      guard case .bytes(let bytes) = value else { continue }
      if field == 1 { name = bytes } else if field == 2 { feature = bytes }
    }
    if fields.isMalformed { return "a feature that is malformed" }
    guard let name else { return nil }
    func isNew(_ place: Int) -> Bool {
      defer { found |= 1 << place }
      return found & 1 << place == 0
    }
    if let place = Self.integers.firstIndex(where: { name.elementsEqual($0.name.utf8) }) {
      let (title, path) = Self.integers[place]
      guard isNew(place) else { return "the feature \"\(title)\" twice" }
      guard let feature, Self.read(feature, list: 3, into: &self[keyPath: path], Self.integers(_:_:)) else {
        return "a feature \"\(title)\" that is no list of whole numbers"
      }
    } else if name.elementsEqual(Self.weights.utf8) {
      guard isNew(Self.integers.count) else { return "the feature \"\(Self.weights)\" twice" }
      guard let feature, Self.read(feature, list: 2, into: &maskedWeights, Self.floats(_:_:)) else {
        return "a feature \"\(Self.weights)\" that is no list of numbers"
      }
    }
    return nil
  }

  /// The list of a feature, whose field has this number; false where there is another or none.
  private static func read<Element>(
    _ feature: UnsafeRawBufferPointer, list: Int, into values: inout [Element],
    _ add: (ProtobufFields.Value, inout [Element]) -> Bool
  ) -> Bool {
    var isThere = false
    var kinds = ProtobufFields(feature)
    while let (field, value) = kinds.next() {
      guard field == list, case .bytes(let bytes) = value else { return false }
      isThere = true
      var elements = ProtobufFields(bytes)
      while let (field, value) = elements.next() {
        guard field == 1, add(value, &values) else { return false }
      }
      if elements.isMalformed { return false }
    }
    return isThere && !kinds.isMalformed
  }

  /// Packed or one by one: writers differ.
  private static func integers(_ value: ProtobufFields.Value, _ values: inout [Int64]) -> Bool {
    switch value {
    case .varint(let number): values.append(Int64(bitPattern: number))
    case .bytes(let bytes):
      var reader = ByteReader(bytes)
      while !reader.isAtEnd {
        guard let number = reader.varint() else { return false }
        values.append(Int64(bitPattern: number))
      }
    case .fixed32, .fixed64: return false
    }
    return true
  }

  private static func floats(_ value: ProtobufFields.Value, _ values: inout [Float]) -> Bool {
    switch value {
    case .fixed32(let bits): values.append(Float(bitPattern: bits))
    case .bytes(let bytes):
      var reader = ByteReader(bytes)
      while !reader.isAtEnd {
        guard let bits = reader.fixed(UInt32.self) else { return false }
        values.append(Float(bitPattern: bits))
      }
    case .varint, .fixed64: return false
    }
    return true
  }

  // MARK: Writing

  /// The message, its lists packed as TensorFlow writes them.
  package var message: [UInt8] {
    var features = ProtobufMessage()
    func add(_ name: String, list: UInt64, _ packed: [UInt8]) {
      var (values, feature, entry) = (ProtobufMessage(), ProtobufMessage(), ProtobufMessage())
      values.add(1, packed)
      feature.add(list, values.bytes)
      entry.add(1, Array(name.utf8))
      entry.add(2, feature.bytes)
      features.add(1, entry.bytes)
    }
    for feature in Self.integers {
      var packed: [UInt8] = []
      for number in self[keyPath: feature.path] { packed.append(varint: UInt64(bitPattern: number)) }
      add(feature.name, list: 3, packed)
    }
    var packed: [UInt8] = []
    for weight in maskedWeights { packed.append(fixed: weight.bitPattern) }
    add(Self.weights, list: 2, packed)
    var example = ProtobufMessage()
    example.add(1, features.bytes)
    return example.bytes
  }
}
