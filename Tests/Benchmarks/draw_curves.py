#!/usr/bin/env python3
"""Draws curves of a metric against minutes of training, as SVG for light and dark pages.

    python draw_curves.py --rows curves.jsonl --metric 'ndcg@10[full]' --title 'ML-1M, validation' > curve.svg

A row: {"contender": name, "minutes": m, metric: value}; a contender's rows in order.
"""

import argparse
import json
from xml.sax.saxutils import escape

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 400, 64, 16, 40, 48
COLOURS = ["#0a7d5a", "#c2571a", "#4a64c8", "#a03c8c"]
STYLE = """text { font: 13px sans-serif; fill: #222 } .grid { stroke: #ddd } .title { font-weight: bold }
@media (prefers-color-scheme: dark) { text { fill: #ddd } .grid { stroke: #444 } .page { fill: #0d1117 } }"""


def step(top: float) -> float:
    """A round distance between four to ten lines of a grid from 0 to `top`."""
    size = 10.0 ** -6
    while True:
        for factor in (1, 2, 5):
            if top / (size * factor) <= 10:
                return size * factor
        size *= 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", required=True)
    parser.add_argument("--metric", default="ndcg@10[full]")
    parser.add_argument("--title", default="")
    options = parser.parse_args()
    curves: dict[str, list[tuple[float, float]]] = {}
    with open(options.rows) as lines:
        for row in map(json.loads, lines):
            curves.setdefault(row["contender"], []).append((row["minutes"], row[options.metric]))
    last = max(x for curve in curves.values() for x, _ in curve)
    top = 1.05 * max(y for curve in curves.values() for _, y in curve)

    def at(x: float, y: float) -> tuple[float, float]:
        return LEFT + x / last * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - y / top * (HEIGHT - TOP - BOTTOM)

    print(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}">')
    print(f'<style>{STYLE}</style><rect class="page" width="100%" height="100%" fill="#fff"/>')
    print(f'<text class="title" x="{LEFT}" y="24">{escape(options.title)}</text>')
    size = step(top)
    for number in range(int(top / size) + 1):
        (x, y), (right, _) = at(0, number * size), at(last, 0)
        print(f'<line class="grid" x1="{x:.1f}" y1="{y:.1f}" x2="{right:.1f}" y2="{y:.1f}"/>')
        print(f'<text x="{x - 8:.1f}" y="{y + 4:.1f}" text-anchor="end">{number * size:.3g}</text>')
    size = step(last)
    for number in range(int(last / size) + 1):
        x, y = at(number * size, 0)
        print(f'<text x="{x:.1f}" y="{y + 18:.1f}" text-anchor="middle">{number * size:.3g}</text>')
    x, y = at(last / 2, 0)
    print(f'<text x="{x:.1f}" y="{y + 38:.1f}" text-anchor="middle">minutes of training</text>')
    for number, (name, curve) in enumerate(curves.items()):
        colour = COLOURS[number % len(COLOURS)]
        points = " ".join("{:.1f},{:.1f}".format(*at(*point)) for point in curve)
        print(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2.5"/>')
        for point in curve:
            print('<circle cx="{:.1f}" cy="{:.1f}" r="3.5" fill="{}"/>'.format(*at(*point), colour))
        y = HEIGHT - BOTTOM - 20 * (len(curves) - number)
        print(f'<rect x="{WIDTH - 230}" y="{y - 10}" width="22" height="4" fill="{colour}"/>')
        print(f'<text x="{WIDTH - 200}" y="{y - 3}">{escape(name)}</text>')
    print("</svg>")


if __name__ == "__main__":
    main()
