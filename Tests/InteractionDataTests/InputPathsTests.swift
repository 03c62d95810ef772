import InteractionData
import Testing

@Suite struct InputPathsTests {
  @Test(arguments: [
    ["a"], ["a", "b c"], ["a\nb"], ["a\nb", "c"], ["a\\", "b"], ["a\\\\", "b\\\nc", "\nd\n"], ["a\r\nb", "c\r"], ["C:\\data\\x"], ["x\\"],
  ]) func pathsOfAnyNamesAreKept(paths: [String]) {
    #expect(InputPaths.split(InputPaths.joined(paths)) == paths)
  }

  @Test func aLineIsAPath() {
    #expect(InputPaths.split("a.csv\nb.csv\n") == ["a.csv", "b.csv"])
    #expect(InputPaths.split("a\\b.csv\\") == ["a\\b.csv\\"])
    #expect(InputPaths.split("") == [])
  }
}
