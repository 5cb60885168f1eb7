"""A release with another version of a view: the older one is read until the new one is built."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

import pytest
from psycopg import Connection
from psycopg.rows import TupleRow
from sqlalchemy import Column, Integer, MetaData, Table, Text

from event_store.connections import connect
from event_store.records import Recorded
from projections import products
from projections.posting.engine import behind, catch_up
from projections.posting.pages import Pages
from projections.posting.status import statuses
from projections.projection import Place, Projection, Rows
from projections.rebuilds.deploying import settle
from projections.rebuilds.rebuild import carry_out, prune, unfinished
from tests.projections.given import STORY, append, many_orders, post, stored

NEW = Table(
    "products_v2",
    MetaData(),
    *(Column(c.name, c.type, primary_key=c.primary_key) for c in products.PRODUCTS.columns),
    Column("label", Text),
    Column("changes", Integer),
)


def needs(recorded: Recorded) -> Iterable[Place]:
    """Name the row of the product."""
    yield NEW, (recorded.stream_id,)


def fold(rows: Rows, recorded: Recorded) -> None:
    """Do as the older version does, and keep a label and a count."""
    inner = Rows()
    if (row := rows.find(NEW, recorded.stream_id)) is not None:
        inner.load(products.PRODUCTS, [row])
    products.fold(inner, recorded)
    [row] = inner.all(products.PRODUCTS)
    row["label"], row["changes"] = f"{row['sku']}: {row['name']}", recorded.version
    rows.put(NEW, row)


VERSION_2: Projection = replace(
    products.PROJECTION, version=2, tables=[NEW], needs=needs, fold=fold
)


@pytest.fixture
def deployed(database_url: str) -> Iterator[Connection[TupleRow]]:
    """Give a database with a posted view, right after the next release has been started."""
    append(database_url, STORY)
    post(database_url, products.PROJECTION)
    with connect(database_url, name="test") as connection:
        make = "create table products_v2 (like products_v1 including all,"
        connection.execute(f"{make} label text not null, changes integer)".encode())
        assert settle(connection, [VERSION_2]) == ["products"]
        assert settle(connection, [VERSION_2]) == []
        yield connection


def test_the_older_version_is_read_and_posted_until_the_new_one_is_there(
    database_url: str, deployed: Connection[TupleRow]
) -> None:
    rows = deployed.execute("select sku, label, changes from products_v2 order by sku").fetchall()
    assert rows == [("LAN-1", "", None), ("TEA-1", "", None)]
    append(database_url, many_orders(2))
    older = products.PROJECTION
    assert catch_up(deployed, older, Pages([older])) == 2  # an older worker goes on
    assert behind(deployed, VERSION_2) == 0
    assert [one.version for one in statuses(deployed) if one.name == "products"] == [1]
    [job] = unfinished(deployed)
    carry_out(deployed, VERSION_2, job, lambda *_: None)
    assert [one.version for one in statuses(deployed) if one.name == "products"] == [2]
    assert [row["label"] for row in stored(deployed, NEW)] == ["TEA-1: Blue teapot", LABEL]
    assert catch_up(deployed, VERSION_2, Pages([VERSION_2])) == 0
    assert catch_up(deployed, older, Pages([older])) == 0
    assert prune(deployed, VERSION_2) == 1
    assert deployed.execute("select to_regclass('public.products_v1')").fetchone() == (None,)


LABEL = 'LAN-1: Lämp "big" \\ 灯 \U0001f3ee'
