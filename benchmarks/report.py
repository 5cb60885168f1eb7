"""The report: a table for the terminal, JSON for later, and a chart of the ratios."""

import os
import platform
import time
from pathlib import Path
from statistics import median

import msgspec
from rich.console import Console
from rich.table import Table

from benchmarks.chart import drawn
from benchmarks.findings import Finding, Report

COLUMNS = ("measured", "median (lowest to highest)", "compared with", "ratio", "target", "")


def machine() -> dict[str, str]:
    """Say on what it is measured, and how busy that was before."""
    return {
        "cores": str(os.cpu_count()),
        "load before": f"{os.getloadavg()[0]:.2f}",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "at": time.strftime("%Y-%m-%d %H:%M:%S %z"),
    }


def write(report: Report, folder: Path) -> None:
    """Keep a report as `report.json` and `report.svg`."""
    text = msgspec.json.format(msgspec.json.encode(report), indent=1)
    (folder / "report.json").write_bytes(text)
    (folder / "report.svg").write_text(drawn(report), encoding="utf-8")


def show(report: Report, folder: Path) -> None:
    """Print a report."""
    console = Console(width=max(Console().width, 170))
    title = ", ".join(f"{name} {value}" for name, value in report.machine.items())
    table = Table(*COLUMNS, title=title, caption_justify="left")
    part = ""
    for finding in report.findings:
        if finding.part != part:
            part = finding.part
            table.add_section()
        table.add_row(*row(finding))
    console.print(table)
    for one in report.skipped:
        console.print(f"Not measured: {one.part}, {one.what}. {one.reason}", style="yellow")
    if report.quick:
        console.print("--quick: these figures show that it runs, not how fast.", style="yellow")
    console.print(f"{report.seconds:.0f} s; {folder / 'report.json'}, {folder / 'report.svg'}")


def row(finding: Finding) -> tuple[str, ...]:
    """Write a finding as the cells of a row."""
    met = finding.met()
    notes = ", ".join(f"{name} {figure(value)}" for name, value in finding.notes.items())
    against = f"{finding.against}: {figure(median(finding.base))}" if finding.base else ""
    return (
        f"{finding.what}" + (f"\n  {notes}" if notes else ""),
        f"{spread(finding.values)} {finding.unit}",
        against,
        spread(finding.ratios()) if finding.base else "",
        target(finding),
        "" if met is None else "[green]met[/]" if met else "[red]missed[/]",
    )


def target(finding: Finding) -> str:
    """Write a target."""
    if finding.target is None:
        return ""
    sign = "at most" if finding.at_most else "at least"
    return f"{sign} {figure(finding.target)}"


def spread(values: list[float]) -> str:
    """Write the median and the spread."""
    middle = figure(median(values))
    if len(values) == 1:
        return middle
    return f"{middle} ({figure(min(values))} to {figure(max(values))})"


def figure(value: float) -> str:
    """Write a figure with three significant digits or all before the point."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.{1 if abs(value) >= 10 else 2}f}"
