"""The tables as the projections name them are those that the migrations made."""

import pytest
from sqlalchemy import Table, create_engine, inspect, make_url
from sqlalchemy.dialects import postgresql

from event_store.connections import connect
from projections.projection import PARTITIONS
from projections.switched_on import PROJECTIONS

TABLES = [table for projection in PROJECTIONS.values() for table in projection.tables]


@pytest.fixture
def found(database_url: str) -> dict[str, dict[str, str]]:
    """Give the columns of all tables with their types."""
    engine = create_engine(make_url(database_url).set(drivername="postgresql+psycopg"))
    reader = inspect(engine)
    tables = {
        table.name: {one["name"]: type_of(one["type"]) for one in reader.get_columns(table.name)}
        for table in TABLES
    }
    engine.dispose()
    return tables


def type_of(kind: object) -> str:
    """Return a column's type as Postgres writes it."""
    return str(kind.compile(dialect=postgresql.dialect())).lower()  # type: ignore[attr-defined,no-untyped-call]  # a TypeEngine


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_a_table_is_as_it_is_declared(found: dict[str, dict[str, str]], table: Table) -> None:
    declared = {column.name: type_of(column.type) for column in table.columns}
    assert found[table.name] == declared


def test_every_projection_has_a_checkpoint_and_versioned_tables(database_url: str) -> None:
    with connect(database_url, name="test") as connection:
        rows = connection.execute(
            "select name, version, count(*) from projection_checkpoints group by 1, 2"
        ).fetchall()
    assert sorted(rows) == sorted(
        (one.name, one.version, PARTITIONS) for one in PROJECTIONS.values()
    )
    for projection in PROJECTIONS.values():
        assert all(table.name.endswith(f"_v{projection.version}") for table in projection.tables)


def test_primary_keys_are_those_of_the_database(database_url: str) -> None:
    engine = create_engine(make_url(database_url).set(drivername="postgresql+psycopg"))
    reader = inspect(engine)
    for table in TABLES:
        key = reader.get_pk_constraint(table.name)["constrained_columns"]
        assert key == [column.name for column in table.primary_key]
    engine.dispose()
