"""The forms of an export: JSON Lines, CSV and Parquet, each written page by page.

Columns have the names that the log has; `data` is the JSON text as it is stored, so that a leaf of
the tree can be made of a row again.
"""

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any, Literal, Protocol

import msgspec

from event_store.history.entries import Entry

Format = Literal["jsonl", "csv", "parquet"]
FORMATS: tuple[Format, ...] = ("jsonl", "csv", "parquet")
MEDIA_TYPES: dict[Format, str] = {
    "jsonl": "application/jsonl",
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
}
# `data` is last: its text is then found in a line of JSON without parsing it.
COLUMNS = (
    "position",
    "stream_id",
    "stream_type",
    "version",
    "name",
    "schema_version",
    "actor_id",
    "actor_role",
    "request_id",
    "correlation_id",
    "causation_id",
    "command_id",
    "command",
    "occurred_at",
    "recorded_at",
    "data",
)
ENCODE = msgspec.json.Encoder().encode


class Writer(Protocol):
    """Turns pages of events into the bytes of a file."""

    def page(self, entries: Sequence[Entry]) -> bytes:
        """Return the bytes of a page."""

    def end(self) -> bytes:
        """Return the bytes that end the file."""


def moment(value: datetime) -> str:
    """Return a time in UTC as Postgres writes it, but for the T and the Z: no zeros at the end."""
    text = f"{value:%Y-%m-%dT%H:%M:%S.%f}".rstrip("0").rstrip(".")
    return f"{text}Z"


def plain(one: Entry) -> Iterator[tuple[str, Any]]:
    """Yield the columns before `data`, times as text."""
    for name in COLUMNS[:-1]:
        value = getattr(one, name)
        yield name, moment(value) if isinstance(value, datetime) else value


class JsonLines:
    """One JSON object a line."""

    def page(self, entries: Sequence[Entry]) -> bytes:
        """Return the bytes of a page."""
        return b"".join(
            ENCODE(dict(plain(one)))[:-1] + b',"data":' + bytes(one.data) + b"}\n"
            for one in entries
        )

    def end(self) -> bytes:
        """Return nothing: the last line is the end."""
        return b""


class Csv:
    """RFC 4180, with a line of names; what is null is empty."""

    def __init__(self) -> None:
        self._begun = False

    def page(self, entries: Sequence[Entry]) -> bytes:
        """Return the bytes of a page."""
        text = io.StringIO()
        rows = csv.writer(text)
        if not self._begun:
            rows.writerow(COLUMNS)
            self._begun = True
        for one in entries:
            rows.writerow([*(value for _, value in plain(one)), bytes(one.data).decode()])
        return text.getvalue().encode()

    def end(self) -> bytes:
        """Return the names alone if there was no event."""
        return b"" if self._begun else self.page([])


class Parquet:
    """Parquet, compressed by zstd; each row group is some pages, so memory stays bounded."""

    GROUP = 10_000

    def __init__(self) -> None:
        import pyarrow as pa  # type: ignore[import-untyped]  # noqa: PLC0415 - large, for this alone
        from pyarrow import parquet  # noqa: PLC0415 - as above

        times = pa.timestamp("us", tz="UTC")
        kinds = {
            "position": pa.int64(),
            "causation_id": pa.int64(),
            "version": pa.int32(),
            "schema_version": pa.int32(),
            "occurred_at": times,
            "recorded_at": times,
        }
        self._schema = pa.schema([(name, kinds.get(name, pa.string())) for name in COLUMNS])
        self._table = pa.Table.from_pylist
        self._sink = Sink()
        self._file = parquet.ParquetWriter(
            pa.PythonFile(self._sink, mode="w"), self._schema, compression="zstd"
        )
        self._rows: list[dict[str, Any]] = []

    def page(self, entries: Sequence[Entry]) -> bytes:
        """Return the bytes that are ready."""
        self._rows += [row_of(one) for one in entries]
        if len(self._rows) >= self.GROUP:
            self._write()
        return self._sink.taken()

    def end(self) -> bytes:
        """Return the rest and the footer."""
        if self._rows:
            self._write()
        self._file.close()
        return self._sink.taken()

    def _write(self) -> None:
        self._file.write_table(self._table(self._rows, schema=self._schema))
        self._rows = []


class Sink(io.RawIOBase):
    """Takes what is written until it is fetched."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        """Say that one can write."""
        return True

    def write(self, data: Any) -> int:
        """Take some bytes."""
        self._parts.append(bytes(data))
        return len(self._parts[-1])

    def taken(self) -> bytes:
        """Return and forget what was written."""
        parts, self._parts = self._parts, []
        return b"".join(parts)


def row_of(one: Entry) -> dict[str, Any]:
    """Return a row of typed values."""
    row = {name: getattr(one, name) for name in COLUMNS}
    return row | {
        "stream_id": str(one.stream_id),
        "command_id": str(one.command_id),
        "data": bytes(one.data).decode(),
    }


WRITERS: dict[Format, Callable[[], Writer]] = {"jsonl": JsonLines, "csv": Csv, "parquet": Parquet}
