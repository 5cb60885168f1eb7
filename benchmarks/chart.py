"""The chart: the ratios of a report as bars on a logarithmic scale, with their targets, as SVG."""

import math
from statistics import median
from xml.sax.saxutils import escape

from benchmarks.findings import Finding, Report

ROW, LEFT, WIDTH, TOP = 24, 560, 460, 70
TICKS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0)
MET, MISSED, PLAIN = "#2f7d4f", "#b3423a", "#5b7a99"


def drawn(report: Report) -> str:
    """Return the chart."""
    rows = [finding for finding in report.findings if finding.base]
    height = TOP + ROW * len(rows) + 30
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 90}" height="{height}"'
        ' font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
        text(16, 24, "Daybook: ratios of one run", size=16),
        text(16, 44, f"{report.started_at}; bar: median, line: lowest to highest, mark: target"),
        *(grid(tick, height) for tick in TICKS),
        *(line for number, row in enumerate(rows) for line in bar(row, TOP + ROW * number)),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def place(ratio: float) -> float:
    """Return where a ratio lies from left to right."""
    low, high = math.log(TICKS[0]), math.log(TICKS[-1])
    within = min(max(math.log(ratio), low), high)
    return LEFT + WIDTH * (within - low) / (high - low)


def grid(tick: float, height: int) -> str:
    """Draw the line of a ratio."""
    x = place(tick)
    colour = "#888" if tick == 1 else "#ddd"
    return (
        f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 6}" y2="{height - 24}" stroke="{colour}"/>'
        + text(x, height - 10, f"{tick:g}", anchor="middle")
    )


def bar(finding: Finding, top: int) -> list[str]:
    """Draw one row."""
    ratios = finding.ratios()
    middle = median(ratios)
    colour = {True: MET, False: MISSED, None: PLAIN}[finding.met()]
    start, end = sorted((place(1), place(middle)))
    y = top + ROW / 2
    lines = [
        text(LEFT - 10, y + 4, f"{finding.part}: {finding.what} / {finding.against}", anchor="end"),
        f'<rect x="{start:.1f}" y="{top + 4}" width="{max(end - start, 1):.1f}"'
        f' height="{ROW - 8}" fill="{colour}"/>',
        f'<line x1="{place(min(ratios)):.1f}" x2="{place(max(ratios)):.1f}" y1="{y}" y2="{y}"'
        ' stroke="black" stroke-width="2"/>',
        text(LEFT + WIDTH + 10, y + 4, f"{middle:.2f}"),
    ]
    if finding.target is not None:
        x = place(finding.target)
        lines.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{top + ROW}" stroke="black"'
            ' stroke-width="3"/>'
        )
    return lines


def text(x: float, y: float, words: str, *, anchor: str = "start", size: int = 12) -> str:
    """Write words."""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}">'
        f"{escape(words)}</text>"
    )
