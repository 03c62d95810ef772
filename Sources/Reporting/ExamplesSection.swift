/// What the model recommends to a few users, beside what they had before.
struct ExamplesSection {
  let users: [ExampleUser]

  func render() -> HTML? {
    if users.isEmpty { return nil }
    let hasTargets = users.contains { $0.target != nil }
    let found = users.count { $0.foundAt != nil }
    let about =
      hasTargets
      ? "What the model recommends after all but the last item of a user; the last item is marked where it is in the list "
        + "(here for \(found) of \(users.count))."
      : "What the model recommends after all items of a user."
    return """
      <section><h2>Example users</h2><p class="soft">\(about)</p><div class="users">\(users.map(card))</div></section>
      """
  }

  private func card(_ user: ExampleUser) -> HTML {
    let earlier: HTML =
      user.earlierCount > 0 ? "<li class=\"soft\">\u{2026} \(NumberText.grouped(user.earlierCount)) before</li>" : ""
    let history = user.history.map { item -> HTML in "<li><bdi>\(item)</bdi></li>" }
    let list = user.list.enumerated().map { place, item -> HTML in
      let mark: HTML = place == user.foundAt ? " class=\"hit\"" : ""
      return "<li><bdi\(mark)>\(item)</bdi></li>"
    }
    let target: HTML = user.target.map { "<h4>Then came</h4><ol class=\"past\"><li><bdi>\($0)</bdi></li></ol>" } ?? ""
    return """
      <div class="card user"><h3>User <bdi>\(user.name)</bdi></h3><h4>History, newest last</h4><ol class="past">\(earlier)\(history)</ol>\
      <h4>Top \(user.list.count)</h4><ol>\(list)</ol>\(target)</div>
      """
  }
}
