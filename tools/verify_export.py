"""Checks an export of Daybook's log against its proof, without Daybook.

    python verify_export.py EXPORT PROOF --key NAME+HASH+KEY [--key ...]

EXPORT is a JSON Lines or CSV file, PROOF the file that came with it. A key is a public key of the
log as `/api/v1/audit/keys` gives it; take it from where you trust it. Needs Python 3.9 or newer and
the package `cryptography`. Exit code 0: every row is in the log that the head signs; 1: not so.
"""

import argparse
import csv
import hashlib
import json
import sys
from base64 import b64decode

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

# A leaf is the line that Postgres's COPY writes for these columns, after the number of the form.
LEAF = ["stream_id", "stream_type", "version", "name", "schema_version", "data", "actor_id",
        "actor_role", "request_id", "correlation_id", "causation_id", "command_id", "command",
        "occurred_at", "recorded_at"]  # fmt: skip
ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\b": "\\b",
                         "\f": "\\f", "\v": "\\v"})  # fmt: skip


class Wrong(Exception):
    """Something does not hold."""


def rows_of(path):
    """Yield the rows of an export as text, by column."""
    with open(path, "rb") as file:
        if file.read(4) == b"PAR1":
            yield from rows_of_parquet(path)
            return
    with open(path, encoding="utf-8", newline="") as file:
        if file.read(1) == "{":
            file.seek(0)
            for line in file:
                head, _, data = line.rstrip("\n").partition(',"data":')
                row = json.loads(head + "}")
                row = {name: None if value is None else str(value) for name, value in row.items()}
                yield {**row, "data": data[:-1]}
        else:
            file.seek(0)
            csv.field_size_limit(1 << 30)
            for row in csv.DictReader(file):
                yield {**row, "causation_id": row["causation_id"] or None}


def rows_of_parquet(path):
    """Yield the rows of a Parquet file, as `rows_of` does; it needs pyarrow."""
    try:
        from pyarrow import parquet  # noqa: PLC0415 - for Parquet alone
    except ImportError:
        raise Wrong("A Parquet file is read with pyarrow: pip install pyarrow.") from None
    with parquet.ParquetFile(path) as file:
        for batch in file.iter_batches(1000):
            for row in batch.to_pylist():
                for name in ("occurred_at", "recorded_at"):
                    moment = row[name].strftime("%Y-%m-%dT%H:%M:%S.%f")
                    row[name] = moment.rstrip("0").rstrip(".") + "Z"
                yield {name: None if value is None else str(value) for name, value in row.items()}


def leaf_of(row):
    """Return the hash of the leaf that a row was made of (RFC 9162, 2.1.1)."""
    cells = ["1"]
    for name in LEAF:
        value = row[name]
        if name.endswith("_at"):
            value = value.replace("T", " ").replace("Z", "+00")
        cells.append("\\N" if value is None else value.translate(ESCAPES))
    return hashlib.sha256(b"\0" + "\t".join(cells).encode() + b"\n").digest()


def key_of(text):
    """Read a public key: name, the four bytes it is called by, the key."""
    name, _, rest = text.strip().partition("+")
    digest, _, encoded = rest.partition("+")
    raw = b64decode(encoded)
    if raw[:1] != b"\1" or hashlib.sha256(name.encode() + b"\n" + raw).digest()[:4].hex() != digest:
        raise Wrong(f"{text} is no key of a log.")
    return name, bytes.fromhex(digest), Ed25519PublicKey.from_public_bytes(raw[1:])


def check_signed(text, lines, keys, what):
    """Raise `Wrong` unless one of the keys has signed a text in one of some lines."""
    for line in lines:
        dash, name, encoded = [*line.split(" "), "", ""][:3]
        for known, called, key in keys:
            signature = b64decode(encoded)
            if (dash, name, signature[:4]) == ("\u2014", known, called):
                try:
                    return key.verify(signature[4:], text.encode())
                except InvalidSignature:
                    raise Wrong(f"The signature of {what} is not good.") from None
    raise Wrong(f"No trusted key has signed {what}.")


def read_proof(path, keys):
    """Return what a proof says of its export, the signed root, and the hashes of the proof."""
    with open(path, encoding="utf-8") as file:
        lines = file.read().splitlines()
    body = [line for line in lines if not line.startswith("\u2014 ")]
    digest = hashlib.sha256("".join(f"{line}\n" for line in body).encode()).hexdigest()
    check_signed(f"daybook-export-proof/1\n{digest}\n", lines[len(body) :], keys, "the proof")
    says = {**json.loads(body[0]), **json.loads(body[-1])}
    text, _, signatures = says["note"].rpartition("\n\n")
    check_signed(text + "\n", signatures.splitlines(), keys, "the head")
    _, size, root, moment = text.split("\n")[:4]
    if says["kind"] != "daybook-export-proof/1" or int(size) != says["size"]:
        raise Wrong("The proof is of another kind, or of another head.")
    return says, b64decode(root), moment, iter([b64decode(line) for line in body[1:-1]])


class Rows:
    """The rows of an export as leaves, with their places in the tree."""

    def __init__(self, path):
        self.rows, self.count, self.place, self.leaf = rows_of(path), 0, -1, None
        self.next()

    def next(self):
        """Return the leaf at hand, and go on to the next row."""
        leaf, row = self.leaf, next(self.rows, None)
        if row is None:
            self.place = None
            return leaf
        if int(row["position"]) - 1 <= self.place:
            raise Wrong(f"Position {row['position']} is not after the one before it.")
        self.place, self.leaf, self.count = int(row["position"]) - 1, leaf_of(row), self.count + 1
        return leaf


def root_of(rows, hashes, begin, end):
    """Return the root over some leaves: from the rows where there are any, else from the proof."""
    if rows.place is None or rows.place >= end:
        found = next(hashes, None)
        if found is None:
            raise Wrong("The proof is too short.")
        return found
    if end - begin == 1:
        return rows.next()
    middle = begin + (1 << ((end - begin - 1).bit_length() - 1))
    left = root_of(rows, hashes, begin, middle)
    return hashlib.sha256(b"\1" + left + root_of(rows, hashes, middle, end)).digest()


def check(export, proof, keys):
    """Check an export; return a sentence about what holds, or raise `Wrong`."""
    says, root, moment, hashes = read_proof(proof, [key_of(key) for key in keys])
    with open(export, "rb") as file:
        digest = hashlib.sha256()
        for part in iter(lambda: file.read(1 << 20), b""):
            digest.update(part)
    if says["sha256"] not in {None, digest.hexdigest()}:
        raise Wrong("The file is not the one that was exported.")
    rows = Rows(export)
    found = root_of(rows, hashes, 0, says["size"])
    if found != root or next(hashes, None) is not None or rows.place is not None:
        raise Wrong("The rows are not those of the log that was signed.")
    if rows.count != says["rows"]:
        raise Wrong(f"There are {rows.count} rows, and {says['rows']} were exported.")
    return f"{rows.count} events are in the log of {says['size']} that was signed at {moment}."


def main():
    """Check what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("export")
    parser.add_argument("proof")
    parser.add_argument("--key", action="append", required=True)
    given = parser.parse_args()
    try:
        print(check(given.export, given.proof, given.key))
    except (Wrong, ValueError, KeyError) as wrong:
        print(f"WRONG: {wrong}")
        sys.exit(1)


if __name__ == "__main__":
    main()
