import InteractionData
import SystemSupport
import Testing

@Suite struct CandidateListsTests {
  private func read(_ text: String, catalogue: [String] = ["1", "2", "a b", "c,d", "30"]) throws -> CandidateLists {
    let path = try Scratch().write(Array(text.utf8))
    return try CandidateLists.read(path, catalogue: ItemIndex(ExternalIDs(catalogue.map { Array($0.utf8) })), log: { _ in })
  }

  private func one(_ text: String) throws -> [String]? {
    guard case .forAll(let ids) = try read(text) else { return nil }
    return (0..<ids.count).map { String(decoding: ids[$0], as: UTF8.self) }
  }

  private func lists(_ text: String) throws -> [String: [String]]? {
    guard case .perUser(let lists) = try read(text) else { return nil }
    return Dictionary(
      uniqueKeysWithValues: (0..<lists.users.count).map { user in
        (String(decoding: lists.users[user], as: UTF8.self), lists.items(of: user).map { String(decoding: $0, as: UTF8.self) })
      })
  }

  @Test func oneList() throws {
    #expect(try one("1\n2\nnew\n") == ["1", "2", "new"])
    #expect(try one("item_id\r\n1\r\n\r\n 2 \r\n30") == ["1", "2", "30"])
    #expect(try one("movieId\n7\n") == ["7"])
    // Ids with spaces and commas are whole lines, where most are known.
    #expect(try one("a b\nc,d\nnew one\n") == ["a b", "c,d", "new one"])
  }

  @Test func aListPerUser() throws {
    #expect(try lists("u 1\nu 2\nv 30\n") == ["u": ["1", "2"], "v": ["30"]])
    #expect(try lists("user_id,item_id\nu,1\nv,2\nu,30\n") == ["u": ["1", "30"], "v": ["2"]])
    #expect(try lists("{\"user\": \"u\", \"items\": [1, \"a b\"]}\n{\"user\": \"v\", \"items\": []}\n") == ["u": ["1", "a b"], "v": []])
    // Users and items share their ids, and one user has no candidates.
    #expect(try lists("1 2\n2\n30 1\n") == ["1": ["2"], "2": [], "30": ["1"]])
  }

  @Test(arguments: ["", "\n\n", "item_id\n"]) func refusesWhatHoldsNone(text: String) {
    #expect(throws: ProgramFailure.self) { try read(text) }
  }

  @Test func standardInputIsForHistories() {
    #expect(throws: ProgramFailure.self) { try CandidateLists.read("-", catalogue: ItemIndex(ExternalIDs()), log: { _ in }) }
  }
}
