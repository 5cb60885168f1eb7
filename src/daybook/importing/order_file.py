"""Files of orders that other systems export: CSV, plain or gzipped, an invoice line a row."""

import csv
import gzip
import io
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from operator import itemgetter
from pathlib import Path
from typing import TextIO

import msgspec

MISSING_CURRENCY = "GBP"
BROKEN = (EOFError, OSError, zlib.error)
# As in the domain's texts: controls, NUL and line breaks among them, and what was not UTF-8.
UNWANTED = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
WHOLE_REFERENCE = re.compile(r"([0-9]+)\.0+")
LONGEST_NUMBER = 60
MOST_DIGITS = 18


class Format(msgspec.Struct, frozen=True):
    """Which columns hold what is needed. Without a currency column, prices are in GBP."""

    name: str
    invoice: str
    sku: str
    description: str
    quantity: str
    price: str
    time: str
    customer: str
    currency: str | None = None

    @property
    def columns(self) -> list[str]:
        """Return the columns that a file must have, in the order in which a line is read."""
        named = [self.invoice, self.sku, self.description, self.quantity, self.price, self.time]
        return [*named, self.customer, *([self.currency] if self.currency else [])]


FORMATS = {
    layout.name: layout
    for layout in (
        Format(
            "online-retail",
            invoice="InvoiceNo",
            sku="StockCode",
            description="Description",
            quantity="Quantity",
            price="UnitPrice",
            time="InvoiceDate",
            customer="CustomerID",
        ),
        Format(
            "daybook",
            invoice="invoice",
            sku="sku",
            description="name",
            quantity="quantity",
            price="unit_price",
            time="placed_at",
            customer="customer",
            currency="currency",
        ),
    )
}


class FileRefused(Exception):  # noqa: N818 - reads as what happened
    """The file cannot be read as orders at all."""


class Rejected(msgspec.Struct, frozen=True):
    """A line that is not imported, and the first reason against it."""

    line: int
    invoice: str
    reason: str


class Entry(msgspec.Struct, frozen=True):
    """A line of an invoice that was understood. Times are UTC."""

    line: int
    invoice: str
    sku: str
    description: str
    quantity: int
    price: Decimal
    placed_at: datetime
    customer: str
    currency: str


@contextmanager
def opened(path: Path) -> Iterator[tuple[TextIO, Callable[[], int]]]:
    """Open a plain or gzipped file as text, with a function that tells the bytes read so far."""
    with path.open("rb") as raw:
        gzipped = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        source = gzip.GzipFile(fileobj=raw) if gzipped else raw
        # Bytes that are not UTF-8 become marks that no line may contain: only their line is lost.
        text = io.TextIOWrapper(source, "utf-8-sig", errors="surrogateescape", newline="")
        with text:
            yield text, raw.tell


def lines_of(text: TextIO, wanted: str | None) -> Iterator[Entry | Rejected]:
    """Read a file line by line; `FileRefused` if its columns are of no known format.

    Blank lines are none. A line that has line breaks in quotes has the number of its first one.
    """
    reader = csv.reader(text)
    header = header_of(reader)
    layout = format_of(header, wanted)
    pick = itemgetter(*(header.index(column) for column in layout.columns))
    while True:
        line = reader.line_num + 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error:  # a quote that is never closed, say: all that it swallowed is refused
            for number in range(line, reader.line_num + 1):
                yield Rejected(number, "", "unreadable")
            continue
        except BROKEN as error:
            raise FileRefused(
                f"The file ends or breaks at line {line} ({error}): get a whole copy and import"
                " that. What was read before stays imported."
            ) from error
        if row:
            row += [""] * (len(header) - len(row))
            yield read_line(line, pick(row), torn=any(row[len(header) :]))


def header_of(reader: Iterator[list[str]]) -> list[str]:
    """Return the names of the columns; `FileRefused` if this is no text at all."""
    try:
        return [name.strip() for name in next(reader, [])]
    except (csv.Error, *BROKEN) as error:
        raise FileRefused(f"This is not a CSV file ({error}).") from error


def format_of(header: list[str], wanted: str | None) -> Format:
    """Return the format of a file with this header; `FileRefused` names what is missing."""
    candidates = [FORMATS[wanted]] if wanted else list(FORMATS.values())
    for candidate in candidates:
        if set(candidate.columns) <= set(header):
            return candidate
    choices = "; ".join(f"{c.name}: {', '.join(c.columns)}" for c in candidates)
    raise FileRefused(
        f"This is not a CSV file of orders: its first line must name these columns ({choices})."
    )


def read_line(line: int, cells: Sequence[str], *, torn: bool = False) -> Entry | Rejected:
    """Understand one line, or give the first reason against it. `torn`: it has cells too many."""
    cells = [cell.strip() for cell in cells]
    invoice, sku, description, quantity_text, price_text, time_text, customer, *rest = cells
    quantity, price, placed_at = number(quantity_text), number(price_text), moment(time_text)
    against = {
        "invoice cancelled": invoice[:1] in {"C", "c"},
        "quantity not positive": quantity is not None and quantity <= 0,
        "price not positive": price is not None and price <= 0,
        "no customer": not customer,
        "unreadable": torn or not (invoice and sku) or UNWANTED.search("".join(cells)),
    }
    for reason, holds in against.items():
        if holds:
            return Rejected(line, invoice, reason)
    if quantity is None or not is_whole(quantity) or price is None or placed_at is None:
        return Rejected(line, invoice, "unreadable")
    return Entry(
        line,
        invoice,
        sku,
        description or sku,
        int(quantity),
        price,
        placed_at,
        whole[1] if (whole := WHOLE_REFERENCE.fullmatch(customer)) else customer,
        rest[0] if rest else MISSING_CURRENCY,
    )


def is_whole(value: Decimal) -> bool:
    """Tell whether a positive number is a whole one, of a size that can be counted to."""
    return 0 <= value.adjusted() < MOST_DIGITS and value == int(value)


@lru_cache(maxsize=10_000)
def number(text: str) -> Decimal | None:
    """Return a finite decimal number, None if it is none or takes a whole line to write."""
    try:
        value = Decimal(text) if len(text) <= LONGEST_NUMBER else None
    except InvalidOperation:
        return None
    return value if value is not None and value.is_finite() else None


@lru_cache(maxsize=1_000)
def moment(text: str) -> datetime | None:
    """Return a time, in UTC where the text does not say, None if it is none."""
    try:
        value = datetime.fromisoformat(text)
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except (ValueError, OverflowError):  # in UTC it may be before the year 1
        return None
