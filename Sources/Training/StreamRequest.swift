import Evaluation
import InteractionData
import SystemSupport

/// A line of `recommend --stream`: a JSON object with the history of one user, and what is wanted for it.
package struct StreamRequest: Sendable {
  /// What a line does not say.
  package struct Defaults: Sendable {
    package var topK: Int
    package var keepSeen: Bool
    package var candidates: CandidateItems?

    package init(topK: Int, keepSeen: Bool, candidates: CandidateItems? = nil) {
      (self.topK, self.keepSeen, self.candidates) = (topK, keepSeen, candidates)
    }
  }

  /// The line's `user` or `user_id`, whatever it is, for the answer; also of a line that is refused, where it can be read.
  package private(set) var user: JSON.Member?
  /// Items of the history, and candidates, that the catalogue does not have.
  package private(set) var unknownItems = 0
  package private(set) var unknownCandidates = 0
  /// What is asked, or why the line is refused.
  package private(set) var outcome: Result<RecommendationRequest, ProgramFailure>

  private static let keys = ["user", "user_id", "items", "candidates", "top_k", "keep_seen"]

  /// Reads a line without its end; `number` is for messages.
  package init(_ line: [UInt8], number: Int, catalogue: ItemIndex, defaults: Defaults) {
    outcome = .failure(ProgramFailure(.badData, "not read"))
    do throws(ProgramFailure) { outcome = .success(try read(line, catalogue, defaults)) } catch {
      outcome = .failure(ProgramFailure(.badData, "line \(number): \(error.message)"))
    }
  }

  /// A line that was not read.
  package init(refused reason: String) { outcome = .failure(ProgramFailure(.badData, reason)) }

  private mutating func read(
    _ line: [UInt8], _ catalogue: ItemIndex, _ defaults: Defaults
  ) throws(ProgramFailure) -> RecommendationRequest {
    let json: JSON
    do throws(JSONError) { json = try JSON.parse(line) } catch {
      throw ProgramFailure(.badData, "\(error); give a JSON object such as {\"items\": [\"id\", \"id\"]}")
    }
    guard let members = json.members else {
      throw ProgramFailure(.badData, "not a JSON object; give one such as {\"items\": [\"id\", \"id\"]}")
    }
    let names = members.filter { $0.key == "user" || $0.key == "user_id" }
    user = names.first
    if names.count > 1 { throw ProgramFailure(.badData, "both \"user\" and \"user_id\"; give one of them") }
    if let other = members.first(where: { !Self.keys.contains($0.key) }) {
      throw ProgramFailure(.badData, "the key \"\(other.key)\" is none of \(Self.keys.joined(separator: ", "))")
    }
    guard let history = json["items"] else {
      throw ProgramFailure(.badData, "no \"items\": the history, the oldest first; [] where there is none")
    }
    var request = RecommendationRequest(
      history: [], topK: defaults.topK, keepSeen: defaults.keepSeen, candidates: defaults.candidates)
    (request.history, unknownItems) = try Self.items(history, "items", catalogue)
    if let candidates = json["candidates"] {
      let (items, unknown) = try Self.items(candidates, "candidates", catalogue)
      (request.candidates, unknownCandidates) = (CandidateItems(items), unknown)
    }
    if let topK = json["top_k"] {
      guard let value = topK.int, value >= 1 else { throw ProgramFailure(.badData, "\"top_k\" is not a whole number from 1") }
      request.topK = value
    }
    if let keepSeen = json["keep_seen"] {
      guard case .bool(let value) = keepSeen else { throw ProgramFailure(.badData, "\"keep_seen\" is neither true nor false") }
      request.keepSeen = value
    }
    return request
  }

  private static func items(
    _ json: JSON, _ key: String, _ catalogue: ItemIndex
  ) throws(ProgramFailure) -> (items: [Int32], unknown: Int) {
    guard case .array(let values) = json else { throw ProgramFailure(.badData, "\"\(key)\" is not an array") }
    var (items, unknown): ([Int32], Int) = ([], 0)
    for (place, value) in values.enumerated() {
      let id: String
      switch value {
      case .string(let text), .number(let text): id = text
      default: throw ProgramFailure(.badData, "\"\(key)\"[\(place)] is neither a string nor a number")
      }
      if let item = catalogue.item(Array(id.utf8)) { items.append(item) } else { unknown += 1 }
    }
    return (items, unknown)
  }
}
