import Checkpoints
import SystemSupport
import TestSupport
import Testing

@Suite struct TensorBoardTests {
  /// Written by TensorBoard 2.21.0's own RecordWriter and protobuf classes.
  private static let written =
    "1800000000000000a37f4b220900001040fc54d9411a0d627261696e2e4576656e743a32338d2fe9100000000000000095fbfe180900002040fc54d94110ad023a0208"
    + "01596f3f793d000000000000006049f1ec0900004040fc54d94110b6022a2f0a110a0a747261696e2f6c6f737315000090400a1a0a13747261696e2f6c6561726e69"
    + "6e675f72617465156f12833adbd5aac4"

  private func hex(_ bytes: [UInt8]) -> String { bytes.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined() }

  @Test func recordsHaveTensorBoardsBytes() {
    let events = [
      TensorBoardEvent(time: 1_700_000_000.25, step: 0, content: .version),
      TensorBoardEvent(time: 1_700_000_000.5, step: 301, content: .start),
      TensorBoardEvent(time: 1_700_000_001, step: 310, content: .scalars([("train/loss", 4.5), ("train/learning_rate", 0.001)])),
    ]
    #expect(hex(events.flatMap(\.record)) == Self.written)
  }

  @Test func eachStartHasALaterFileAndVoidsWhatItDoesAgain() throws {
    let temporary = try TemporaryFolder()
    let folder = temporary.path + "/tensorboard"
    let first = try TensorBoardLog(folder, resumingAfter: 0, now: { 1_700_000_000 })
    try first.append([("step", .int(310)), ("loss", .double(4.5)), ("slowest_host", .string("a")), ("learning_rate", .double(.nan))])
    // The clock has been put back.
    let second = try TensorBoardLog(folder, resumingAfter: 300, now: { 5 })
    try second.append([("step", .int(400)), ("split", .string("validation")), ("users", .int(7)), ("ndcg@10[full]", .double(0.5))])
    let names = try FileSystem.list(folder)
    #expect(names == ["events.out.tfevents.1700000000.bert4rec-dist", "events.out.tfevents.1700000001.bert4rec-dist"])
    let expected: [[TensorBoardEvent]] = [
      [
        .init(time: 1_700_000_000, step: 0, content: .version),
        .init(time: 1_700_000_000, step: 310, content: .scalars([("train/loss", 4.5)])),
      ],
      [
        .init(time: 5, step: 0, content: .version), .init(time: 5, step: 301, content: .start),
        .init(time: 5, step: 400, content: .scalars([("validation/ndcg@10[full]", 0.5)])),
      ],
    ]
    for (name, events) in zip(names, expected) { #expect(try FileSystem.read(folder + "/" + name) == events.flatMap(\.record)) }
  }
}
