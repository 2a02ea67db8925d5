# SPDX-License-Identifier: MIT
"""plot.py - every figure as a bar."""
import math
import statistics

from measure import Column, spread
from sides import COLOURS, NATIVE

def esc(s):
    return s.replace("&", "&amp;").replace("<", "&lt;")


def plot(cases, path, what):
    """Bars, one a side: how many times better than native or bare, median and
    spread, on a logarithmic axis."""
    left, right, bar, gap, top = 330, 700, 15, 30, 74
    bodies, y = [], top
    low, high = 1.0, 1.0
    groups = []
    for case in cases:
        c = case.columns[0]
        if c.base not in case.ways:
            c = next((k for k in case.columns if k.base == NATIVE), None)
        if not c:
            continue
        ratio = Column(c.key, "", base=c.base)
        bars = []
        for side in case.ways:
            if side == c.base:
                continue
            r = case.compared(side, ratio)
            if not c.more:
                r = [1 / x for x in r if x > 0]
            bars.append((side, r, case.values(side, c.key), c))
            if r:
                low, high = min(low, *r), max(high, *r)
        groups.append((case, c, bars))
    lo, hi = math.floor(math.log10(low)), math.ceil(math.log10(high) or 1)
    hi = max(hi, lo + 1)

    def x(v):
        return left + (math.log10(v) - lo) / (hi - lo) * (right - left)

    for case, c, bars in groups:
        base = case.values(c.base, c.key)
        note = f"{c.base}: {spread(base, c.digits)} {c.title}"
        bodies.append(f'<text x="10" y="{y}" class="t">{esc(case.title)}'
                      f'<tspan class="n" dx="8">{esc(note)}</tspan></text>')
        y += 7
        for side, r, values, c in bars:
            colour = COLOURS[side]
            bodies.append(f'<text x="{left - 8}" y="{y + 11}" class="s">'
                          f'{esc(side)}</text>')
            if r:
                m = statistics.median(r)
                a, b = sorted((x(1), x(m)))
                bodies.append(
                    f'<rect x="{a:.1f}" y="{y}" width="{max(b - a, 1):.1f}" '
                    f'height="{bar - 3}" fill="{colour}"/>')
                mid = y + (bar - 3) / 2
                bodies.append(
                    f'<path d="M{x(min(r)):.1f} {mid}H{x(max(r)):.1f}" '
                    'stroke="#222"/>')
                end_x = max(x(max(r)), x(1)) + 6
                label = (f"{m:.2f} times as good: "
                         f"{spread(values, c.digits)}")
            else:
                end_x = x(1) + 6
                label = ("skipped" if side in case.skipped else
                         "failed" if case.failures[side] else "-")
            bodies.append(f'<text x="{end_x:.1f}" y="{y + 11}" class="n">'
                          f'{esc(label)}</text>')
            y += bar
        y += gap
    axis = []
    for e in range(lo, hi + 1):
        for k in (1, 2, 5):
            v = k * 10.0 ** e
            if math.log10(v) > hi:
                continue
            weight = "#555" if v == 1 else "#ddd"
            axis.append(f'<path d="M{x(v):.1f} {top - 16}V{y - gap}" '
                        f'stroke="{weight}"/>')
            axis.append(f'<text x="{x(v):.1f}" y="{top - 20}" class="a">'
                        f'{v:g}</text>')
    with open(path, "w", encoding="utf-8") as f:
        f.write(f'<svg xmlns="http://www.w3.org/2000/svg" width="1000" '
                f'height="{y}" viewBox="0 0 1000 {y}">\n<style>'
                'text{font:11px sans-serif;fill:#222}.t{font-weight:bold}'
                '.n{font-weight:normal;fill:#555}.s{text-anchor:end}'
                '.a{text-anchor:middle;fill:#555}</style>\n'
                '<rect width="100%" height="100%" fill="#fff"/>\n'
                f'<text x="10" y="20" class="t">How many times as good as '
                f'native threads (bars: median, lines: least to most)</text>'
                f'<text x="10" y="36" class="n">{esc(what)}</text>\n')
        f.write("\n".join(axis + bodies))
        f.write("\n</svg>\n")
