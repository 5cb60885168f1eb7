"""What the command line prints with: results on standard output, all else on standard error."""

import json
import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Column

WRONG, UNUSABLE = 1, 2

out = Console()
errors = Console(stderr=True)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]


def number(heading: str) -> Column:
    """Return a column of numbers, whose digits stand below one another."""
    return Column(heading, justify="right")


def print_json(result: dict[str, object]) -> None:
    """Print a result for programs."""
    sys.stdout.write(json.dumps(result, default=str) + "\n")


def print_result(result: dict[str, object]) -> None:
    """Print a result for people: a line each."""
    width = max(map(len, result))
    for key, value in result.items():
        shown = f"{value:,}" if isinstance(value, int) else str(value)
        typer.echo(f"{key:<{width}}  {shown}")
