import Checkpoints
import Evaluation
import InteractionData
import SystemSupport
import Testing
import Training

@Suite struct StreamRequestTests {
  private let catalogue = ItemIndex(ExternalIDs(["a", "12", "x y", "é", "true"].map { Array($0.utf8) }))

  private func read(_ line: String, _ defaults: StreamRequest.Defaults = .init(topK: 10, keepSeen: false)) -> StreamRequest {
    StreamRequest(Array(line.utf8), number: 7, catalogue: catalogue, defaults: defaults)
  }

  @Test func whatALineSays() throws {
    let request = read(#"{"user": 5, "items": ["é", 12, "x y", "new", 13], "top_k": 3, "keep_seen": true, "candidates": ["a", 99, "a"]}"#)
    let asked = RecommendationRequest(history: [4, 2, 3], topK: 3, keepSeen: true, candidates: CandidateItems([1]))
    #expect(try request.outcome.get() == asked)
    #expect(request.unknownItems == 2 && request.unknownCandidates == 1)
    #expect(request.user == JSON.Member("user", .number("5")))
  }

  @Test func whatItDoesNotSay() throws {
    let defaults = StreamRequest.Defaults(topK: 4, keepSeen: true, candidates: CandidateItems([2]))
    #expect(
      try read(#"{"items":["a"]}"#, defaults).outcome.get()
        == RecommendationRequest(history: [1], topK: 4, keepSeen: true, candidates: CandidateItems([2])))
    let other = read(#" {"items":[],"user_id":null,"keep_seen":false,"candidates":[]} "#, defaults)
    #expect(try other.outcome.get() == RecommendationRequest(history: [], topK: 4, candidates: CandidateItems([])))
    #expect(other.user == JSON.Member("user_id", .null))
  }

  /// The reason, and the user where one could be read.
  @Test(arguments: [
    ("", "the text ends too early at byte 0; give a JSON object", false), ("[1]", "not a JSON object", false),
    ("{\"items\":[1]} x", "something after the end", false), ("{}", "no \"items\"", false),
    (#"{"user":1}"#, "no \"items\"", true), (#"{"user":1,"items":"a"}"#, "\"items\" is not an array", true),
    (#"{"user":1,"items":["a",null]}"#, "\"items\"[1] is neither a string nor a number", true),
    (#"{"user":1,"items":[],"candidates":{}}"#, "\"candidates\" is not an array", true),
    (#"{"user":1,"items":[],"top_k":0}"#, "\"top_k\" is not a whole number from 1", true),
    (#"{"user":1,"items":[],"top_k":2.5}"#, "\"top_k\" is not a whole number from 1", true),
    (#"{"user":1,"items":[],"top_k":99999999999999999999}"#, "\"top_k\" is not a whole number from 1", true),
    (#"{"user":1,"items":[],"keep_seen":1}"#, "\"keep_seen\" is neither true nor false", true),
    (#"{"user":1,"items":[],"topk":1}"#, "the key \"topk\" is none of user, user_id, items, candidates, top_k, keep_seen", true),
    (#"{"user":1,"user_id":1,"items":[]}"#, "both \"user\" and \"user_id\"", true),
    (#"{"user":1,"items":[],"items":[]}"#, "the key \"items\" is given twice", false),
  ])
  func refusals(line: String, reason: String, hasUser: Bool) {
    let request = read(line)
    #expect((request.user != nil) == hasUser)
    guard case .failure(let failure) = request.outcome else {
      Issue.record("\(line) is accepted")
      return
    }
    #expect(failure.message.hasPrefix("line 7: ") && failure.message.contains(reason), "\(failure.message)")
    #expect(failure.exitCode == .badData)
  }
}
