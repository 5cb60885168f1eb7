"""Files of orders that other systems export: CSV, plain or gzipped, an invoice line a row."""

import csv
import gzip
import io
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
    """Read a file line by line; `FileRefused` if its columns are of no known format."""
    reader = csv.reader(text)
    try:
        header = next(reader, [])
    except (csv.Error, UnicodeError, OSError) as error:
        message = f"This is not a CSV file: {error}."
        raise FileRefused(message) from error
    layout = format_of(header, wanted)
    pick = itemgetter(*(header.index(column) for column in layout.columns))
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error:
            yield Rejected(reader.line_num, "", "unreadable")
            continue
        except (EOFError, OSError) as error:
            message = f"The file ends or breaks at line {reader.line_num}: {error}."
            raise FileRefused(message) from error
        if len(row) < len(header):
            row += [""] * (len(header) - len(row))
        yield read_line(reader.line_num, pick(row))


def format_of(header: list[str], wanted: str | None) -> Format:
    """Return the format of a file with this header; `FileRefused` names what is missing."""
    candidates = [FORMATS[wanted]] if wanted else list(FORMATS.values())
    for candidate in candidates:
        if set(candidate.columns) <= set(header):
            return candidate
    choices = "; ".join(f"{c.name}: {', '.join(c.columns)}" for c in candidates)
    message = f"The file's first line must name its columns ({choices})."
    raise FileRefused(message)


def read_line(line: int, cells: Sequence[str]) -> Entry | Rejected:
    """Understand one line, or give the first reason against it."""
    invoice, sku, description, quantity_text, price_text, time_text, customer, *rest = map(
        str.strip, cells
    )
    quantity, price, placed_at = number(quantity_text), number(price_text), moment(time_text)
    printable = f"{invoice}{sku}{description}{customer}".isprintable()
    readable = invoice and sku and quantity and price and placed_at and printable
    against = {
        "invoice cancelled": invoice[:1] in {"C", "c"},
        "quantity not positive": quantity is not None and quantity <= 0,
        "price not positive": price is not None and price <= 0,
        "no customer": not customer,
        "unreadable": not readable or quantity != int(quantity or 0),
    }
    for reason, holds in against.items():
        if holds:
            return Rejected(line, invoice, reason)
    assert quantity is not None  # noqa: S101 - it is readable
    assert price is not None  # noqa: S101 - it is readable
    assert placed_at is not None  # noqa: S101 - it is readable
    return Entry(
        line,
        invoice,
        sku,
        description or sku,
        int(quantity),
        price,
        placed_at,
        customer.removesuffix(".0"),
        rest[0] if rest else MISSING_CURRENCY,
    )


@lru_cache(maxsize=10_000)
def number(text: str) -> Decimal | None:
    """Return a finite decimal number, None if it is none."""
    try:
        value = Decimal(text)
    except InvalidOperation:
        return None
    return value if value.is_finite() else None


@lru_cache(maxsize=1_000)
def moment(text: str) -> datetime | None:
    """Return a time, in UTC where the text does not say, None if it is none."""
    try:
        value = datetime.fromisoformat(text)
    except ValueError:
        return None
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
