"""A real retailer's orders: killed in the middle, imported again, recounted, rebuilt.

Two months of them; the whole year with DAYBOOK_RETAIL_LINES=541909.
"""

import gzip
import json
import os
import time
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from psycopg import sql

from projections.switched_on import PROJECTIONS
from tests.stories.recount import Recount, Sums, recount
from tests.stories.running import Running, data_of, running_daybook, wait_until

pytestmark = pytest.mark.timeout(1_200)

FILE = Path(
    os.environ.get("DAYBOOK_RETAIL_DATA")
    or Path(__file__).parents[3] / "shared" / "data" / "online-retail.csv.gz"
)
LINES = int(os.environ.get("DAYBOOK_RETAIL_LINES", "70000"))
CHECKSUM = sql.SQL("select md5(string_agg(t::text, '\n' order by t::text)) from {} t")
needs_file = pytest.mark.skipif(
    not FILE.exists(), reason=f"the retailer's file is not at {FILE} (or DAYBOOK_RETAIL_DATA)"
)


def report(admin: httpx.Client, group_by: str) -> list[dict[str, Any]]:
    """Return a whole report, page by page."""
    rows: list[dict[str, Any]] = []
    while True:
        number = len(rows) // 100 + 1
        parameters: dict[str, str | int] = {"groupBy": group_by, "limit": 100, "page": number}
        answer = admin.get("/reports/sales", params=parameters)
        rows += data_of(answer)
        if not answer.json()["pagination"]["hasNext"]:
            return rows


def sums(rows: list[dict[str, Any]], key: str) -> dict[str, tuple[int, int, str]]:
    """Return a report in a form to compare."""
    return {r[key]: (r["orders"], r["units"], r["revenue"]["amount"]) for r in rows}


def expected(counted: dict[str, Sums]) -> dict[str, tuple[int, int, str]]:
    """Return a recount in the same form."""
    return {key: (len(s.orders), s.units, money(s)) for key, s in counted.items()}


def money(counted: Sums) -> str:
    """Return the revenue with at least two decimals and no needless ones."""
    text = f"{counted.revenue:f}"
    whole, _, decimals = text.partition(".")
    return f"{whole}.{decimals.rstrip('0').ljust(2, '0')}"


def database_of(daybook: Running) -> str:
    """Return the address of the running Daybook's database."""
    notice = json.loads((daybook.folder / "var" / "run" / "services.json").read_text())
    return str(notice["database_url"])


def checksums(database_url: str) -> dict[str, str]:
    """Return a checksum of all rows of every read table."""
    tables = [table for projection in PROJECTIONS.values() for table in projection.tables]
    with psycopg.connect(database_url) as connection:
        found = {}
        for table in tables:
            row = connection.execute(CHECKSUM.format(sql.Identifier(table.name))).fetchone()
            assert row is not None
            found[table.name] = row[0]
    return found


def check_views(admin: httpx.Client, counted: Recount) -> None:
    assert sums(report(admin, "day"), "date") == expected(counted.by_day)
    assert sums(report(admin, "product"), "sku") == expected(counted.by_product)
    by_customer = {f"Customer {key}": value for key, value in expected(counted.by_customer).items()}
    assert sums(report(admin, "customer"), "name") == by_customer
    orders = admin.get("/orders", params={"sortBy": "total", "limit": 100}).json()
    assert orders["pagination"]["total"] == len(counted.totals)
    largest = sorted(counted.totals.values(), reverse=True)[:100]
    assert [order["total"]["amount"] for order in orders["data"]] == [str(t) for t in largest]
    for order in orders["data"]:
        assert order["total"]["amount"] == str(counted.totals[order["reference"]])


@pytest.fixture(scope="module")
def beginning(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a file of the header and the first lines of the retailer's."""
    path: Path = tmp_path_factory.mktemp("retail") / "beginning.csv.gz"
    with gzip.open(FILE, "rb") as whole, gzip.open(path, "wb", compresslevel=1) as part:
        part.writelines(islice(whole, LINES + 1))
    return path


@needs_file
def test_imported_orders_survive_kills_and_agree_with_a_recount(beginning: Path) -> None:
    counted = recount(beginning)
    with running_daybook() as daybook:
        importing = daybook.popen("import", "orders", str(beginning))
        for victim in (r"daybook\.worker", r"daybook serve", r"postgres -D"):
            time.sleep(0.7)
            daybook.kill(victim)
        assert importing.poll() is None, "the import was over before it could be killed"
        importing.kill()
        importing.wait()
        wait_until(lambda: ready(daybook), 60)

        again = daybook.run("import", "orders", str(beginning), "--json")
        assert again.returncode == 0, again.stderr
        result = json.loads(again.stdout)
        assert result["lines read"] == counted.read
        assert result["lines accepted"] == counted.accepted
        assert result["lines accepted"] + result["lines refused"] == result["lines read"]
        for reason, count in counted.refused.items():
            assert result[f"  {reason}"] == count
        assert result["orders new"] + result["orders known already"] == len(counted.totals)

        admin = daybook.log_in()
        check_views(admin, counted)
        before = checksums(database_of(daybook))
        rebuilt = daybook.run("projections", "rebuild", "all")
        assert rebuilt.returncode == 0, rebuilt.stderr
        assert checksums(database_of(daybook)) == before
        check_views(admin, counted)

        third = json.loads(daybook.run("import", "orders", str(beginning), "--json").stdout)
        assert (third["orders new"], third["customers new"], third["products new"]) == (0, 0, 0)
        assert checksums(database_of(daybook)) == before


def ready(daybook: Running) -> bool:
    """Tell whether everything has been started again."""
    try:
        return httpx.get(f"http://127.0.0.1:{daybook.port}/health/ready").status_code == 200
    except httpx.HTTPError:
        return False
