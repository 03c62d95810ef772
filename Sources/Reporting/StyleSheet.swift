/// Colours of the runs, for light and dark pages; each is told apart from its neighbours, and from both backgrounds.
package enum Palette {
  static let light = ["#2167c9", "#c94f0c", "#0b8062", "#9036b0", "#94700a", "#b8235a", "#0d7f95", "#5b6675"]
  static let dark = ["#74aaff", "#ff9d5c", "#45cfa6", "#d497f2", "#dcbc4a", "#ff80a8", "#4fcfe0", "#a9b5c4"]
  package static var count: Int { light.count }

  /// `--s1` and so on.
  static func variables(_ colours: [String]) -> String {
    colours.enumerated().map { "--s\($0.offset + 1):\($0.element)" }.joined(separator: ";")
  }

  /// `.s1` and so on set `--c`, which curves, bars and swatches are drawn in.
  static var classes: String { (1...count).map { ".s\($0){--c:var(--s\($0))}" }.joined() }
}

/// The page's own style: nothing is loaded.
enum StyleSheet {
  static let text = """
    :root{color-scheme:light dark;\(lightColours)}
    @media (prefers-color-scheme:dark){:root{\(darkColours)}}
    \(Palette.classes)
    *{box-sizing:border-box}
    body{margin:0;background:var(--page);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
    main{max-width:1160px;margin:0 auto;padding:32px 20px 48px}
    h1{font-size:28px;line-height:1.2;margin:0 0 4px;letter-spacing:-.01em;overflow-wrap:anywhere}
    h2{font-size:19px;margin:40px 0 12px;letter-spacing:-.005em}
    p{margin:0 0 12px}
    .soft{color:var(--soft)}
    .card{background:var(--card);border:1px solid var(--edge);border-radius:10px}
    .tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px;margin:20px 0 0}
    .tile{padding:12px 14px}
    .tile span{display:block;color:var(--soft);font-size:13px}
    .tile i{display:block;color:var(--soft);font-style:normal;font-size:12.5px}
    .tile b{display:block;font-size:23px;line-height:1.3;font-weight:600;font-variant-numeric:tabular-nums;overflow-wrap:anywhere}
    .charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,320px),1fr));gap:14px}
    .chart{margin:0;padding:12px 12px 8px}
    figcaption{font-weight:600;font-size:14px;margin:0 2px 6px}
    svg{display:block;width:100%;height:auto}
    .grid{stroke:var(--edge);stroke-width:1}
    .mark{fill:var(--soft);font-size:10.5px;font-variant-numeric:tabular-nums}
    .axis{font-style:italic}
    .curve{fill:none;stroke:var(--c);stroke-width:1.8;stroke-linejoin:round;stroke-linecap:round}
    .band{fill:var(--c);opacity:.16}
    .dot{fill:var(--c)}
    .ring{fill:none;stroke:var(--c);stroke-width:1.6}
    .reference{stroke:var(--c);stroke-width:1.4;stroke-dasharray:4 4;opacity:.8}
    .hover{fill:transparent}
    .hover:hover{fill:var(--ink);opacity:.07}
    .legend{display:flex;flex-wrap:wrap;gap:4px 18px;margin:0 0 12px;padding:0;list-style:none;font-size:14px}
    .swatch{display:inline-block;width:11px;height:11px;border-radius:3px;background:var(--c);margin-right:7px}
    .scroll{overflow-x:auto}
    table{border-collapse:collapse;width:100%;font-size:14px;font-variant-numeric:tabular-nums}
    th,td{padding:7px 12px;text-align:right;white-space:nowrap;border-top:1px solid var(--edge)}
    thead th{border-top:0;color:var(--soft);font-weight:500;font-size:13px}
    th:first-child,td:first-child,.words td,.words th{text-align:left}
    .words td{white-space:normal;overflow-wrap:anywhere;vertical-align:top}
    .words td:first-child{white-space:nowrap}
    tbody th{font-weight:500}
    .best{font-weight:700}
    tr.under td,tr.under th{color:var(--soft)}
    tr.group th{padding-top:14px;font-weight:600}
    .changed{font-weight:600}
    code,.key{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;font-size:13px}
    .bars{padding:14px 16px 16px}
    .bars h3{font-size:14px;margin:0 0 10px}
    .bars+.bars,.charts+.bars{margin-top:14px}
    .stack{display:flex;height:20px;border-radius:5px;overflow:hidden;gap:1px;background:var(--edge)}
    .stack i{display:block;background:var(--c)}
    .row{display:grid;grid-template-columns:minmax(90px,170px) 1fr 84px;gap:10px;align-items:center;font-size:14px;padding:2px 0}
    .row span:last-child{text-align:right;font-variant-numeric:tabular-nums}
    .track{background:var(--edge);border-radius:4px;height:11px;overflow:hidden}
    .track i{display:block;height:100%;background:var(--c)}
    .keys{display:grid;grid-template-columns:repeat(auto-fill,minmax(260px,1fr));gap:2px 24px;padding:12px 16px;margin:0}
    .keys div{display:flex;justify-content:space-between;gap:12px}
    .keys dt{color:var(--soft)}
    .keys dd{margin:0;text-align:right;overflow-wrap:anywhere}
    .users{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,340px),1fr));gap:14px}
    .user{padding:14px 16px}
    .user h3{font-size:15px;margin:0 0 8px;overflow-wrap:anywhere}
    .user h4{font-size:12px;font-weight:500;color:var(--soft);margin:10px 0 2px}
    .user ol{margin:0;padding-left:1.7em;font-size:14px;line-height:1.45}
    .user .past{list-style:none;padding:0}
    .user li{overflow-wrap:anywhere}
    .user li::marker{color:var(--soft);font-size:12px;font-variant-numeric:tabular-nums}
    .hit{background:var(--hit);border-radius:4px;font-weight:600;padding:0 4px;margin:0 -4px}
    footer{margin-top:44px;color:var(--soft);font-size:13px;border-top:1px solid var(--edge);padding-top:14px;overflow-wrap:anywhere}
    footer ul{margin:0 0 10px;padding-left:1.2em}
    @media (max-width:480px){main{padding:22px 14px 36px}h1{font-size:24px}th,td{padding:6px 9px}.row{grid-template-columns:96px 1fr 74px}}
    @media print{
    :root{color-scheme:light;\(lightColours);--page:#fff}
    @page{margin:14mm}
    body{font-size:12px}main{max-width:none;padding:0}h2{margin:24px 0 8px;break-after:avoid}
    .charts,.users{grid-template-columns:repeat(3,1fr);gap:8px}.chart{padding:8px 8px 4px}figcaption{font-size:10.5px}.tiles{grid-template-columns:repeat(5,1fr);gap:8px}
    .tile{padding:8px 10px}.tile b{font-size:18px}.user{padding:8px 10px}.user h3,.user ol{font-size:10.5px}.user h4{font-size:9.5px;margin-top:6px}
    th,td{padding:4px 8px}table{font-size:11px}.key,code{font-size:10px}.keys{grid-template-columns:1fr 1fr 1fr;padding:8px 10px}
    .card,.chart,.user,tr{break-inside:avoid}.keysbox{break-inside:auto}.scroll{overflow:visible}
    *{print-color-adjust:exact;-webkit-print-color-adjust:exact}
    }
    """

  private static let lightColours =
    "--page:#f6f7f9;--card:#fff;--ink:#1b2129;--soft:#5d6875;--edge:#e1e5ea;--hit:#d5f2e4;" + Palette.variables(Palette.light)
  private static let darkColours =
    "--page:#11151a;--card:#191f26;--ink:#e6eaf0;--soft:#98a3b0;--edge:#2c343e;--hit:#174535;" + Palette.variables(Palette.dark)
}
