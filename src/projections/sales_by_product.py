"""Sales by product: how many orders and units of each product were sold, and for how much."""

from collections import defaultdict
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

from domain import order, product
from event_store.records import Recorded
from projections.amounts import MoneyView, money_view
from projections.listing import Listing
from projections.projection import Key, Place, Projection, Row, Rows
from projections.sales import EVENTS, booking_of, counters, day_of, enter, period, summed

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


def needs(recorded: Recorded) -> Iterable[Place]:
    """Name the rows of a sale's products and day, or of a product's name."""
    if booking := booking_of(recorded):
        for key in lines_by_key(booking[0]):
            yield SALES, key
    else:
        yield NAMES, (recorded.stream_id,)


def lines_by_key(sale: order.Sale) -> dict[Key, list[order.Line]]:
    """Return the lines of a sale by the row that they move."""
    grouped: dict[Key, list[order.Line]] = defaultdict(list)
    day, currency = day_of(sale), sale.total.currency
    for line in sale.lines:
        grouped[line.product_id, day, currency].append(line)
    return grouped


def fold(rows: Rows, recorded: Recorded) -> None:
    """Enter a sale or take it out; keep the products' names."""
    match recorded.event:
        case product.ProductListed(sku, name):
            rows.put(NAMES, {"product_id": recorded.stream_id, "sku": sku, "name": name})
        case product.ProductRenamed(name):
            rows.change(NAMES, recorded.stream_id)["name"] = name
    booking = booking_of(recorded)
    if booking is None:
        return
    sale, sign = booking
    for key, lines in lines_by_key(sale).items():
        units = sum(line.quantity for line in lines)
        revenue = sum((line.amount for line in lines), Decimal())
        enter(rows, SALES, key, sign=sign, units=units, revenue=revenue)


PROJECTION = Projection(
    name="sales_by_product",
    version=1,
    tables=[SALES, NAMES],
    events=[*EVENTS, product.ProductListed, product.ProductRenamed],
    key="product_id",
    needs=needs,
    fold=fold,
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
