import SystemSupport

/// Values from rank to rank.
extension Communicator {
  /// Rank 0's value on every rank; the others may pass nil.
  package func broadcast<Value: Communicable>(_ value: Value?) throws(CollectiveFailure) -> Value {
    if size == 1, let value { return value }
    var bytes: [UInt8] = []
    if rank == 0 {
      guard let value else { preconditionFailure("rank 0 has the value") }
      bytes = MessageWriter.bytes(of: value)
    }
    var count = [bytes.count]
    try broadcast(overwriting: &count)
    // All empty arrays share one storage, which threads must not write.
    if count[0] > 0 {
      if rank != 0 { bytes = [UInt8](repeating: 0, count: count[0]) }
      try broadcast(overwriting: &bytes)
    }
    return if let value, rank == 0 { value } else { try MessageReader.value(of: bytes) }
  }

  /// The same of a value that every rank has memory for, in one message.
  package func broadcast<Value: PlainValue>(overwriting value: inout Value) throws(CollectiveFailure) {
    var message = [value]
    try broadcast(overwriting: &message)
    value = message[0]
  }

  /// Every rank's value, in rank order, on rank 0; an empty array elsewhere.
  package func gather<Value: Communicable>(_ value: Value) throws(CollectiveFailure) -> [Value] {
    var values: [Value] = []
    for bytes in try gatherBytes(MessageWriter.bytes(of: value)) { values.append(try MessageReader.value(of: bytes)) }
    return values
  }

  /// Every rank's value, in rank order, on every rank.
  package func allGather<Value: Communicable>(_ value: Value) throws(CollectiveFailure) -> [Value] {
    try broadcast(try gather(value))
  }

  /// The same in one message.
  package func allGather<Value: PlainValue>(_ value: Value) throws(CollectiveFailure) -> [Value] {
    var all = [Value](repeating: value, count: size)
    let own = [value]
    try own.withUnsafeBufferPointer { own throws(CollectiveFailure) in
      try all.withUnsafeMutableBufferPointer { all throws(CollectiveFailure) in
        try allGatherRecords(UnsafeRawBufferPointer(own), into: UnsafeMutableRawBufferPointer(all))
      }
    }
    return all
  }

  /// Value k of rank 0's, of which there is one per rank, on rank k; those of other ranks do not count.
  package func scatter<Value: Communicable>(_ values: [Value]) throws(CollectiveFailure) -> Value {
    if size == 1 { return values[0] }
    let own = try scatterBytes(rank == 0 ? values.map { MessageWriter.bytes(of: $0) } : [])
    return try MessageReader.value(of: own)
  }

  /// `exchange` of whole numbers, which go as what has their size: nobody looks at the bits.
  package func exchange(
    _ send: UnsafeMutablePointer<Int32>, _ sendBlocks: BlockLayout, into receive: UnsafeMutablePointer<Int32>,
    _ receiveBlocks: BlockLayout
  ) throws(CollectiveFailure) {
    let (send, receive) = (UnsafeMutableRawPointer(send), UnsafeMutableRawPointer(receive))
    try exchange(
      send.assumingMemoryBound(to: Float.self), sendBlocks, into: receive.assumingMemoryBound(to: Float.self), receiveBlocks)
  }

  /// The ranks that bring true, ascending, on every rank.
  package func ranks(where condition: Bool) throws(CollectiveFailure) -> [Int] {
    let all = try allGather(condition ? 1 : 0)
    return all.indices.filter { all[$0] == 1 }
  }

  private func broadcast<Element: BitwiseCopyable>(overwriting array: inout [Element]) throws(CollectiveFailure) {
    try array.withUnsafeMutableBufferPointer { elements throws(CollectiveFailure) in
      try broadcastBytes(UnsafeMutableRawBufferPointer(elements))
    }
  }
}

/// An exchange of records of one size, again and again. Allocates nothing after its beginning.
package final class RecordExchange<Record: PlainValue> {
  /// What the ranks brought last, in rank order.
  package let records: UnsafeMutableBufferPointer<Record>
  private let own: UnsafeMutablePointer<Record>
  private let communicator: any Communicator

  /// `empty`: what `records` hold before the first exchange.
  package init(_ communicator: any Communicator, empty: Record) {
    self.communicator = communicator
    own = .allocate(capacity: 1)
    own.initialize(to: empty)
    records = .allocate(capacity: communicator.size)
    records.initialize(repeating: empty)
  }

  deinit {
    own.deallocate()
    records.deallocate()
  }

  package func callAsFunction(_ record: Record) throws(CollectiveFailure) {
    own.pointee = record
    try communicator.allGatherRecords(
      UnsafeRawBufferPointer(start: own, count: MemoryLayout<Record>.stride), into: UnsafeMutableRawBufferPointer(records))
  }
}
