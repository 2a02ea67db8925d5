# SPDX-License-Identifier: MIT
"""measure.py - sides that are measured by turns, and the table of it.

Ratios are of one round each, so that what slows the whole machine for a while
slows both halves of a ratio.
"""
import statistics
import sys

from processes import Failed, Skipped, TimedOut

class Column:
    """One figure: a key of what a program says.

    base    the side that the others are compared with; None: with none
    how     "ratio", or "more": by how much it is above base
    more    whether more of it is better
    """
    def __init__(self, key, title, digits=1, base=None, how="ratio",
                 more=False, spread=True):
        self.key, self.title, self.digits = key, title, digits
        self.base, self.how, self.more = base, how, more
        self.spread = spread


class Case:
    """Sides that are measured by turns, and what came of it."""

    def __init__(self, subject, title, ways, columns, rounds):
        self.subject, self.title = subject, title
        self.ways, self.columns, self.rounds = ways, columns, rounds
        self.results = {s: [] for s in ways}   # a dictionary or None a round
        self.failures = {s: [] for s in ways}
        self.skipped = {}
        self.calls = {}     # system calls a request, by side

    def measure(self):
        for _ in range(self.rounds):
            for side, way in self.ways.items():
                self.results[side].append(self.once(side, way))

    def once(self, side, way):
        failures = self.failures[side]
        if side in self.skipped or len(failures) > 1:
            return None
        progress(f"{self.title}: {side}")
        try:
            return way()
        except Skipped as e:
            self.skipped[side] = str(e)
        except TimedOut as e:
            failures += [str(e)] * 2    # not again: it takes too long
        except (Failed, OSError) as e:
            failures.append(str(e))
        return None

    def values(self, side, key):
        return [r[key] for r in self.results[side] if r and key in r]

    def compared(self, side, column):
        """Round by round, with the base."""
        pairs = zip(self.results[side], self.results.get(column.base, []))
        both = [(a[column.key], b[column.key]) for a, b in pairs
                if a and b and column.key in a and column.key in b]
        if column.how == "more":
            return [a - b for a, b in both]
        return [a / b for a, b in both if b]


quiet = False    # nothing but results


def progress(what):
    if sys.stderr.isatty() and not quiet:
        sys.stderr.write(f"\r\033[K{what[:78]}")
        sys.stderr.flush()


def say(*what):
    if sys.stderr.isatty() and not quiet:
        sys.stderr.write("\r\033[K")
        sys.stderr.flush()
    print(*what, flush=True)


def number(x, digits):
    return f"{x:,.{digits}f}"


def spread(values, digits, sign=""):
    """The median, and in brackets the least and the most."""
    if not values:
        return "-"
    middle = f"{statistics.median(values):{sign},.{digits}f}"
    if len(values) == 1:
        return middle
    return (f"{middle} ({min(values):,.{digits}f}.."
            f"{max(values):,.{digits}f})")


def table(case):
    heads = [""]
    for c in case.columns:
        heads.append(c.title)
        if c.base in case.ways:
            heads.append(("x " if c.how == "ratio" else "over ") + c.base)
    if case.calls:
        heads.append("system calls")
    rows = [heads]
    for side in case.ways:
        row = [side]
        if side in case.skipped:
            rows.append([side, "skipped: " + case.skipped[side]])
            continue
        for c in case.columns:
            values = case.values(side, c.key)
            if c.spread:
                row.append(spread(values, c.digits))
            elif values:
                row.append(number(statistics.median(values), c.digits))
            else:
                row.append("-")
            if c.base in case.ways:
                if side == c.base:
                    row.append("")
                elif c.how == "ratio":
                    row.append(spread(case.compared(side, c), 2))
                else:
                    row.append(spread(case.compared(side, c), c.digits, "+"))
        if case.calls:
            calls = case.calls.get(side)
            row.append(number(calls, 2) if isinstance(calls, float)
                       else calls or "-")
        if not any(case.results[side]):
            row = [side, "FAILED: " + case.failures[side][0]]
        elif case.failures[side]:
            row.append(f"FAILED {len(set(case.failures[side]))} times: "
                       + case.failures[side][0])
        rows.append(row)
    widths = [max((len(r[i]) for r in rows
                   if i < len(r) and (i == 0 or len(r) > 2)), default=0)
              for i in range(len(heads))]
    lines = [case.title]
    for r in rows:
        cells = [f"{cell:{'<' if i == 0 else '>'}{widths[i]}}"
                 if i < len(widths) and (i == 0 or len(r) > 2) else cell
                 for i, cell in enumerate(r)]
        lines.append(("  " + "  ".join(cells)).rstrip())
    return "\n".join(lines)
