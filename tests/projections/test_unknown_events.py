"""What a newer release wrote stops only the views that need it, where they stand, and says so."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from event_store.connections import connect
from projections import products, users
from projections.posting.engine import catch_up
from projections.posting.pages import Pages
from projections.posting.post_page import ProjectionFailed
from projections.posting.status import Status, statuses
from projections.rebuilds.rebuild import RebuildFailed, rebuild
from projections.switched_on import PROJECTIONS
from tests.conftest import tampering
from tests.projections.given import STORY, append, everything, position_of, post, rows_of, stored

SOURCE = Path(__file__).parents[2] / "src"
LISTED = 4  # the position of the second `product.listed`
NEEDS_PRODUCTS = {name for name, one in PROJECTIONS.items() if "product.listed" in one.event_names}
SAID = (
    "UNKNOWN_EVENT: Unknown event product.listed version 2 at position 4: "
    "a newer release of Daybook wrote it, run that release here."
)


def set_event(database_url: str, position: int, name: str, schema_version: int) -> None:
    """Let an event be of another name or version."""
    with tampering(database_url) as connection:
        connection.execute(
            "update events set name = %s, schema_version = %s where position = %s",
            [name, schema_version, position],
        )


def post_together(database_url: str) -> set[str]:
    """Post every view as a worker does, from shared pages; return the names of those that hold."""
    pages, held = Pages(PROJECTIONS.values()), set()
    with connect(database_url, name="test") as connection:
        for projection in PROJECTIONS.values():
            try:
                catch_up(connection, projection, pages)
            except ProjectionFailed:
                held.add(projection.name)
    return held


def status_of(database_url: str) -> dict[str, Status]:
    """Return the status of every view by its name."""
    with connect(database_url, name="test") as connection:
        return {one.name: one for one in statuses(connection)}


def test_an_unknown_name_stops_no_view(database_url: str) -> None:
    append(database_url, STORY)
    set_event(database_url, 10, "order.gift_wrapped", 1)
    assert post_together(database_url) == set()
    assert {position_of(database_url, one) for one in PROJECTIONS.values()} == {len(STORY)}


def test_an_unknown_version_holds_the_views_that_listen_and_no_other(database_url: str) -> None:
    assert {"products"} <= NEEDS_PRODUCTS < set(PROJECTIONS)
    append(database_url, STORY)
    set_event(database_url, LISTED, "product.listed", 2)
    assert post_together(database_url) == NEEDS_PRODUCTS
    for name, status in status_of(database_url).items():
        held = name in NEEDS_PRODUCTS
        assert (status.position, status.failure) == ((3, SAID) if held else (len(STORY), None))
    assert post_together(database_url) == NEEDS_PRODUCTS
    assert status_of(database_url)["products"].position == 3


def test_a_view_holds_right_before_the_event_that_it_does_not_know(database_url: str) -> None:
    append(database_url, STORY)
    set_event(database_url, LISTED, "product.listed", 2)
    post_together(database_url)
    with connect(database_url, name="test") as connection:
        found = stored(connection, products.PRODUCTS)
    expected = rows_of(products.PROJECTION, STORY[: LISTED - 1]).all(products.PRODUCTS)
    assert [row["id"] for row in found] == [row["id"] for row in expected]
    assert len(found) == 1


def test_a_view_that_held_goes_on_when_a_release_knows_the_event(database_url: str) -> None:
    append(database_url, STORY)
    post(database_url)
    expected = everything(database_url)
    with connect(database_url, name="test") as connection:
        for projection in PROJECTIONS.values():
            for table in projection.tables:
                connection.execute(f"truncate {table.name}".encode())
        connection.execute("update projection_checkpoints set position = 0")
    set_event(database_url, LISTED, "product.listed", 2)
    assert post_together(database_url) == NEEDS_PRODUCTS
    set_event(database_url, LISTED, "product.listed", 1)
    assert post_together(database_url) == set()
    assert everything(database_url) == expected
    assert {one.failure for one in status_of(database_url).values()} == {None}


def test_a_rebuild_that_meets_an_unknown_event_leaves_the_view_as_it_is(database_url: str) -> None:
    append(database_url, STORY)
    post(database_url)
    before = everything(database_url)
    set_event(database_url, LISTED, "product.listed", 2)
    with connect(database_url, name="test") as connection:
        with pytest.raises(RebuildFailed, match=r"product\.listed version 2 at position 4"):
            rebuild(connection, products.PROJECTION, lambda *_: None)
        rebuild(connection, users.PROJECTION, lambda *_: None)
    assert everything(database_url) == before


def test_the_operator_sees_which_views_hold_and_why(database_url: str) -> None:
    append(database_url, STORY)
    set_event(database_url, LISTED, "product.listed", 2)
    post_together(database_url)
    asked = [sys.executable, "-m", "daybook", "projections", "status"]
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(SOURCE),
        "DAYBOOK_DATABASE_URL": database_url,
        "DAYBOOK_REDIS_URL": "redis://127.0.0.1:9/0",
        "COLUMNS": "400",
    }
    shown = subprocess.run(asked, env=environment, capture_output=True, check=False, text=True)
    assert shown.returncode == 1
    assert shown.stdout.count(f"stands still: {SAID}") == len(NEEDS_PRODUCTS)
    listed = subprocess.run(
        [*asked, "--json"], env=environment, capture_output=True, check=False, text=True
    )
    failures = {one["name"]: one["lastError"] for one in json.loads(listed.stdout)["projections"]}
    assert failures == {name: SAID if name in NEEDS_PRODUCTS else None for name in PROJECTIONS}
