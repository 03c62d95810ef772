import TensorFlowFiles

/// An event of TensorBoard as its files hold it: the message `Event` of tensorflow/core/util/event.proto in a TFRecord.
///
/// A test compares the bytes with those that TensorBoard itself writes.
package struct TensorBoardEvent {
  package enum Content {
    /// The first event of a file.
    case version
    /// The program has started (again): what earlier files say of this step and later ones does not hold.
    case start
    case scalars([(tag: String, value: Double)])
  }

  /// Seconds since 1970.
  var time: Double
  var step: Int
  var content: Content

  package init(time: Double, step: Int, content: Content) { (self.time, self.step, self.content) = (time, step, content) }

  /// As a file of events has it.
  package var record: [UInt8] { RecordWriter.framed(message.bytes) }

  private var message: ProtobufMessage {
    var event = ProtobufMessage()
    event.add(1, fixed64: time.bitPattern)
    if step != 0 { event.add(2, varint: UInt64(step)) }
    switch content {
    case .version: event.add(3, "brain.Event:2".utf8)
    case .start:
      // SessionLog.status = START.
      var log = ProtobufMessage()
      log.add(1, varint: 1)
      event.add(7, log.bytes)
    case .scalars(let scalars):
      // Summary.value, each with tag and simple_value, which is a float.
      var summary = ProtobufMessage()
      for scalar in scalars {
        var value = ProtobufMessage()
        value.add(1, scalar.tag.utf8)
        value.add(2, fixed32: Float(scalar.value).bitPattern)
        summary.add(1, value.bytes)
      }
      event.add(5, summary.bytes)
    }
    return event
  }
}
