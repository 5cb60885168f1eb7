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
    size = f'width="{LEFT + WIDTH + 90}" height="{height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
        text(16, 24, "Daybook: ratios of one run", size=16),
        text(16, 44, f"{report.started_at}; bar: median, line: lowest to highest, mark: target"),
        *(grid(tick, height) for tick in TICKS),
        *(part for number, row in enumerate(rows) for part in bar(row, TOP + ROW * number)),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def place(ratio: float) -> float:
    """Return where a ratio lies from left to right."""
    low, high = math.log(TICKS[0]), math.log(TICKS[-1])
    within = min(max(math.log(ratio), low), high) if ratio > 0 else low
    return LEFT + WIDTH * (within - low) / (high - low)


def grid(tick: float, height: int) -> str:
    """Draw the line of a ratio."""
    x, colour = place(tick), "#888" if tick == 1 else "#ddd"
    return line(x, x, TOP - 6, height - 24, colour) + text(
        x, height - 10, f"{tick:g}", anchor="middle"
    )


def bar(finding: Finding, top: int) -> list[str]:
    """Draw one row."""
    ratios, y = finding.ratios(), top + ROW / 2
    middle = median(ratios)
    colour = {True: MET, False: MISSED, None: PLAIN}[finding.met()]
    start, end = sorted((place(1), place(middle)))
    label = f"{finding.part}: {finding.what} / {finding.against}"
    drawn = [
        text(LEFT - 10, y + 4, label, anchor="end"),
        box(start, top + 4, max(end - start, 1), ROW - 8, colour),
        line(place(min(ratios)), place(max(ratios)), y, y, "black", 2),
        text(LEFT + WIDTH + 10, y + 4, f"{middle:.2f}"),
    ]
    if finding.target is not None:
        x = place(finding.target)
        drawn.append(line(x, x, top, top + ROW, "black", 3))
    return drawn


def box(x: float, y: float, width: float, height: float, colour: str) -> str:
    """Draw a filled box."""
    size = f'width="{width:.1f}" height="{height:.1f}"'
    return f'<rect x="{x:.1f}" y="{y:.1f}" {size} fill="{colour}"/>'


def line(x1: float, x2: float, y1: float, y2: float, colour: str, width: int = 1) -> str:  # noqa: PLR0913, PLR0917 - two points
    """Draw a line."""
    ends = f'x1="{x1:.1f}" x2="{x2:.1f}" y1="{y1:.1f}" y2="{y2:.1f}"'
    return f'<line {ends} stroke="{colour}" stroke-width="{width}"/>'


def text(x: float, y: float, words: str, *, anchor: str = "start", size: int = 12) -> str:
    """Write words."""
    where = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}"'
    return f"<text {where}>{escape(words)}</text>"
