/// Names under which headers and JSON's keys have the columns, best first; compared without case, `_`, `-`, `.` and
/// spaces, and without RecBole's types.
enum ColumnNames {
  static let user = [
    "userid", "user", "uid", "useridx", "userindex", "reviewerid", "visitorid", "customerid", "customer", "buyerid",
    "buyer", "clientid", "client", "accountid", "account", "memberid", "membernumber", "member", "subscriberid",
    "shopperid", "profileid", "personid", "playerid", "viewerid", "readerid", "listenerid", "studentid", "learnerid",
    "patientid", "householdid", "householdkey", "steamid", "fullvisitorid", "userpseudoid", "anonymousid", "custid",
    "username", "email", "customeremail", "useremail", "sessionid", "session", "deviceid", "queryid",
  ]
  static let item = [
    "itemid", "item", "iid", "itemidx", "itemindex", "movieid", "parentasin", "asin", "productid", "product",
    "productcode", "sku", "skuid", "lineitemsku", "productsku", "itemsku", "itemcode", "stockcode", "goodsid",
    "businessid", "bookid", "isbn", "trackid", "songid", "articleid",
    "videoid", "venueid", "poiid", "locationid", "placeid", "animeid", "appid", "gameid", "newsid", "artistid", "aid",
    "contentid", "docid", "documentid", "postid", "showid", "recipeid", "courseid", "listingid", "hotelid", "beerid",
    "wineid", "podcastid", "offerid", "photoid", "materialid", "merchandiseid", "repoid", "questionid", "problemid",
    "movie", "book", "article", "track", "song", "video", "venue", "upc", "ean", "gtin", "queryid",
    "itemids", "items", "itemlist", "itemseq", "itemsequence", "itemidlist",
  ]
  /// Times of the interaction itself, whatever numbers they are.
  static let certainTime = ["timestamp", "datetime", "time", "unixreviewtime", "eventtime", "date", "ts"]
  /// The same and others, whose values must look like times.
  static let time =
    certainTime + [
      "unixtime", "unixtimestamp",
      "eventtimestamp", "eventdate", "tdat", "timems", "timestampms", "timens", "timeus", "epoch", "createdat", "createtime", "createdtime",
      "created", "creationtime", "purchasedat", "purchasetime", "purchasedate", "orderdate", "ordertime", "orderedat",
      "orderpurchasetimestamp", "reviewdate", "reviewtime", "reviewedat", "ratedat", "ratingdate", "ratingtime", "ratingtimestamp",
      "transactiondate", "transactiontime", "invoicedate", "lastwatchdt", "watchedat", "watchdate", "playedat",
      "listenedat", "viewedat", "visittime", "visitdate", "visitedat", "clickedat", "clicktime", "checkintime",
      "checkindate", "interactiontime", "interactiondate", "interactedat", "behaviortime", "actiontime", "actiondate", "logtime",
      "utctime", "utctimestamp", "localtime", "dt",
    ]
  static let rating = ["rating", "stars", "overall", "score", "bookrating", "userrating", "ratingvalue"]
  static let event = [
    "event", "eventtype", "eventname", "behaviortype", "behaviourtype", "behavior", "behaviour", "action", "actiontype",
    "interactiontype", "type",
  ]
  static let title = [
    "title", "itemtitle", "movietitle", "producttitle", "booktitle", "songtitle", "tracktitle", "gametitle", "newstitle",
    "lineitemname", "name", "itemname", "productname", "moviename", "bookname", "trackname", "songname", "artistname", "appname",
    "gamename",
    "businessname",
  ]
  static let session = ["sessionid", "session", "usersession", "visitid"]

  /// Values of a column that says what kind of event a row is.
  static let eventWords: Set<String> = [
    "view", "views", "click", "clicks", "pv", "buy", "buys", "cart", "carts", "fav", "favorite", "favourite", "purchase",
    "purchases", "order", "orders", "addtocart", "add_to_cart", "remove_from_cart", "transaction", "like", "dislike",
    "share", "play", "skip", "impression", "wishlist", "bookmark", "watch", "read", "rate", "collect",
  ]

  private static let recBoleTypes = ["token", "float", "token_seq", "float_seq"]

  /// Whether a field is a name of a RecBole atomic file's header, such as `user_id:token`.
  static func isTyped(_ field: String) -> Bool {
    guard let colon = field.lastIndex(of: ":") else { return false }
    return recBoleTypes.contains(String(field[field.index(after: colon)...]))
  }

  static func isSequence(_ field: String) -> Bool { isTyped(field) && field.hasSuffix("_seq") }

  static func withoutType(_ field: String) -> String {
    guard isTyped(field), let colon = field.lastIndex(of: ":") else { return field }
    return String(field[..<colon])
  }

  static func normalised(_ field: String) -> String {
    withoutType(field).lowercased().filter { !"_-. ".contains($0) }
  }

  /// Of a path in JSON, what stands after the last point.
  static func lastComponent(_ field: String) -> String {
    field.lastIndex(of: ".").map { String(field[field.index(after: $0)...]) } ?? field
  }

  /// The places of the columns that have one of `names`, the best first. Where no whole path has one, its last
  /// component may.
  static func places(of names: [String], in fields: [String]) -> [Int] {
    for spelling in [fields.map(normalised), fields.map { normalised(lastComponent($0)) }] {
      let found = names.compactMap { spelling.firstIndex(of: $0) }
      if !found.isEmpty { return found }
    }
    return []
  }

  static func place(of names: [String], in fields: [String]) -> Int? { places(of: names, in: fields).first }

  /// A time, but not the interaction's: it must not order a history.
  static func isTimeOfSomethingElse(_ field: String) -> Bool {
    let name = normalised(field)
    return ["release", "birth", "expir", "publish", "upload", "signup", "regist", "joined", "updat", "modif", "crawl", "scrap", "member"]
      .contains {
        name.contains($0)
      }
  }

  /// An id, whatever its values look like.
  static func isID(_ field: String) -> Bool {
    let name = normalised(field)
    return name.hasSuffix("id") || name.hasSuffix("ids") || name.hasSuffix("idx") || name.hasSuffix("code")
  }

  /// What an error says about accepted names.
  static let accepted =
    "users: \(user.joined(separator: ", ")); items: \(item.joined(separator: ", ")); times: \(time.joined(separator: ", "))"
}
