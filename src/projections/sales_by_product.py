"""Sales by product: how many orders and units of each product were sold, and for how much."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Date,
    Integer,
    MetaData,
    Numeric,
    Select,
    Table,
    Text,
    Uuid,
    bindparam,
    cast,
    func,
    select,
)

from domain import order, product
from event_store.records import Recorded
from projections.amounts import MoneyView, money_view
from projections.listing import Listing, as_is
from projections.projection import Key, Place, Projection, Row, Rows
from projections.sales import EVENTS, booking_of, day_of, row_to_add_to

METADATA = MetaData()
SALES = Table(
    "sales_by_product_v1",
    METADATA,
    Column("product_id", Uuid, primary_key=True),
    Column("day", Date, primary_key=True),
    Column("currency", Text, primary_key=True),
    Column("orders", Integer),
    Column("units", BigInteger),
    Column("revenue", Numeric),
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
        row = row_to_add_to(rows, SALES, key, lambda key=key: empty_row(*key))  # type: ignore[misc]  # mypy does not infer the default of a lambda
        row["orders"] += sign
        row["units"] += sign * sum(line.quantity for line in lines)
        row["revenue"] += sign * sum((line.amount for line in lines), Decimal())


def empty_row(product_id: UUID, day: date, currency: str) -> Row:
    """Return the row of a product that was not sold on a day yet."""
    return {
        "product_id": product_id,
        "day": day,
        "currency": currency,
        "orders": 0,
        "units": 0,
        "revenue": Decimal(),
    }


PROJECTION = Projection(
    name="sales_by_product",
    version=1,
    tables=[SALES, NAMES],
    events=[*EVENTS, product.ProductListed, product.ProductRenamed],
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
    sums = (
        select(
            SALES.c.product_id,
            SALES.c.currency,
            func.sum(SALES.c.orders).label("orders"),
            cast(func.sum(SALES.c.units), BigInteger).label("units"),
            func.sum(SALES.c.revenue).label("revenue"),
        )
        .where(*conditions)
        .group_by(SALES.c.product_id, SALES.c.currency)
        .having(func.sum(SALES.c.orders) > 0)
        .subquery("sums")
    )
    return select(*sums.c, NAMES.c.sku, NAMES.c.name).select_from(
        sums.join(NAMES, NAMES.c.product_id == sums.c.product_id)
    )


LISTING = Listing(
    projection=PROJECTION,
    select=totals_by_product,
    filters={
        "from": (SALES.c.day >= bindparam("from"), as_is),
        "to": (SALES.c.day <= bindparam("to"), as_is),
    },
    sorts={
        "revenue": "revenue",
        "units": "units",
        "orders": "orders",
        "sku": "sku",
        "name": "name",
    },
    tie=["product_id", "currency"],
    default_sort="revenue",
    whole=True,
)
