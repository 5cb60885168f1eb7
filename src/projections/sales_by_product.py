"""Sales by product: how many orders and units of each product were sold, and for how much."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import (
    Column,
    ColumnElement,
    Date,
    MetaData,
    Select,
    Table,
    Text,
    Uuid,
    select,
)

from domain import product
from event_store.records import Recorded
from projections.amounts import MoneyView, money_view
from projections.listing import Listing
from projections.projection import Place, Projection, Row, Rows
from projections.sales import counters, period, summed, sums_of_sales
from projections.sums import LineFact

METADATA = MetaData()
SALES = Table(
    "sales_by_product_v1",
    METADATA,
    Column("product_id", Uuid, primary_key=True),
    Column("day", Date, primary_key=True),
    Column("currency", Text, primary_key=True),
    *counters(),
)
NAMES = Table(
    "sales_by_product_names_v1",
    METADATA,
    Column("product_id", Uuid, primary_key=True),
    Column("sku", Text),
    Column("name", Text),
)


SUMS = sums_of_sales(
    SALES,
    {"product_id": LineFact("product_id", UUID)},
    units=LineFact("quantity", int),
    revenue=LineFact("amount", Decimal),
)


def needs(recorded: Recorded) -> Iterable[Place]:
    """Name the rows of a sale's products and day, or of a product's name."""
    if type(recorded.event) in SUMS.entries:
        return SUMS.needs(recorded)
    return [(NAMES, (recorded.stream_id,))]


def fold(rows: Rows, recorded: Recorded) -> None:
    """Enter a sale or take it out; keep the products' names."""
    match recorded.event:
        case product.ProductListed(sku, name):
            rows.put(NAMES, {"product_id": recorded.stream_id, "sku": sku, "name": name})
        case product.ProductRenamed(name):
            rows.change(NAMES, recorded.stream_id)["name"] = name
        case _:
            SUMS.fold(rows, recorded)


PROJECTION = Projection(
    name="sales_by_product",
    version=1,
    tables=[SALES, NAMES],
    events=[*SUMS.entries, product.ProductListed, product.ProductRenamed],
    key="product_id",
    needs=needs,
    fold=fold,
    sums=SUMS,
)


class ProductSalesView(msgspec.Struct, frozen=True, rename="camel"):
    """What was sold of a product in one currency; the revenue is exact."""

    product_id: UUID
    sku: str
    name: str
    orders: int
    units: int
    revenue: MoneyView


def product_sales_view(row: Row) -> ProductSalesView:
    """Show a row."""
    return ProductSalesView(
        row["product_id"],
        row["sku"],
        row["name"],
        row["orders"],
        row["units"],
        money_view(row["revenue"], row["currency"]),
    )


def totals_by_product(conditions: Sequence[ColumnElement[bool]]) -> Select[Any]:
    """Return the sums over the days, of products that were sold on them."""
    sums = summed(SALES, "product_id", conditions)
    return select(*sums.c, NAMES.c.sku, NAMES.c.name).select_from(
        sums.join(NAMES, NAMES.c.product_id == sums.c.product_id)
    )


LISTING = Listing(
    projection=PROJECTION,
    rows=totals_by_product,
    filters=period(SALES),
    sorts={
        "revenue": ["revenue"],
        "units": ["units"],
        "orders": ["orders"],
        "sku": ["sku"],
        "name": ["name"],
    },
    tie=["product_id", "currency"],
    default_sort="revenue",
)
