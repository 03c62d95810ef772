import Glibc
import SystemSupport

/// A file of records, as TensorFlow has it (TFRecord; core/lib/io/record_writer.h): for each record its length (8 bytes, little-endian),
/// the masked CRC-32C of these 8 bytes, the data, the masked CRC-32C of the data.
package struct RecordReader {
  package let path: String
  /// Of the record that `next` gave last, counted from 1.
  package private(set) var number = 0
  /// The byte at which that record begins.
  package private(set) var offset = 0
  private let file: MappedFile
  private var end = 0

  /// Exit code 66 where it cannot be read.
  package init(_ path: String) throws(ProgramFailure) {
    self.path = path
    file = try MappedFile(path)
  }

  /// Where the last record stands, for messages.
  package var place: String { "\(path): record \(number) at byte \(offset)" }

  /// The next record's data, which live as long as this value; nil at the end. Exit code 65 where the record is damaged or cut short.
  package mutating func next() throws(ProgramFailure) -> UnsafeRawBufferPointer? {
    offset = end
    var reader = ByteReader(UnsafeRawBufferPointer(rebasing: file.bytes[end...]))
    if reader.isAtEnd { return nil }
    number += 1
    let start = reader.bytes
    guard let length = reader.fixed(UInt64.self), let lengthSum = reader.fixed(UInt32.self) else {
      throw ProgramFailure(.badData, "\(place) is cut short: \(start.count) bytes are left")
    }
    guard CRC32C.masked(of: UnsafeRawBufferPointer(rebasing: start[..<8])) == lengthSum else {
      let isPacked = number == 1 && start.starts(with: [0x1F, 0x8B])
      throw ProgramFailure(
        .badData,
        "\(place) is damaged: its length has not its checksum"
          + (isPacked ? "; the file is compressed by gzip: unpack it" : number == 1 ? ", or the file is no TFRecord" : ""))
    }
    guard let count = Int(exactly: length), let data = reader.take(count), let dataSum = reader.fixed(UInt32.self) else {
      throw ProgramFailure(.badData, "\(place) is cut short: it has \(length) bytes of data, \(start.count - 12) are left")
    }
    guard CRC32C.masked(of: data) == dataSum else {
      throw ProgramFailure(.badData, "\(place) is damaged: its data have not their checksum")
    }
    end += reader.place
    return data
  }
}

/// Writes a file of records; `finish` forces it to the disk. What is not finished is no file: whoever wants all or nothing writes beside
/// the target and renames.
package final class RecordWriter {
  private let path: String
  private var descriptor: Int32
  private var buffer: [UInt8] = []
  private static let room = 1 << 20

  /// Exit code 74 where the disk does not take it.
  package init(_ path: String) throws(ProgramFailure) {
    self.path = path
    descriptor = try FileSystem.writing { () throws(SystemError) in
      try systemCall("open", path) { open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666) }
    }
  }

  deinit { if descriptor >= 0 { close(descriptor) } }

  /// A record as it stands in a file.
  package static func framed(_ record: [UInt8]) -> [UInt8] {
    var frame: [UInt8] = []
    frame.append(fixed: UInt64(record.count))
    frame.append(fixed: CRC32C.masked(of: frame))
    frame += record
    frame.append(fixed: CRC32C.masked(of: record))
    return frame
  }

  package func append(_ record: [UInt8]) throws(ProgramFailure) {
    buffer += Self.framed(record)
    if buffer.count >= Self.room { try flush() }
  }

  private func flush() throws(ProgramFailure) {
    let (path, descriptor) = (path, descriptor)
    let result = buffer.withUnsafeBytes { bytes in
      Result { () throws(ProgramFailure) in
        try FileSystem.writing { () throws(SystemError) in try FileSystem.writeAll(descriptor, bytes, path) }
      }
    }
    try result.get()
    buffer.removeAll(keepingCapacity: true)
  }

  package func finish() throws(ProgramFailure) {
    try flush()
    let (path, open) = (path, descriptor)
    descriptor = -1
    try FileSystem.writing { () throws(SystemError) in
      do throws(SystemError) { try systemCall("fsync", path) { fsync(open) } } catch {
        close(open)
        throw error
      }
      try systemCall("close", path) { close(open) }
    }
  }
}
