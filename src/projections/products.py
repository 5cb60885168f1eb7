"""The products: what the catalogue offers, at which price, and what is left of it."""

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec
from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Integer,
    MetaData,
    Numeric,
    Table,
    Text,
    Uuid,
    bindparam,
    func,
    literal_column,
)

from domain import product
from event_store.history.questions import Question
from event_store.records import Recorded
from projections.amounts import MoneyView, money_view
from projections.listing import Listing, as_is, containing, range_of
from projections.projection import OwnRow, Projection, Row, Rows

Status = Literal["for_sale", "withdrawn"]

PRODUCTS = Table(
    "products_v1",
    MetaData(),
    Column("id", Uuid, primary_key=True),
    Column("sku", Text),
    Column("name", Text),
    Column("currency", Text),
    Column("price", Numeric),
    Column("stock", BigInteger),  # null: not tracked
    Column("status", Text),
    Column("created_at", DateTime(timezone=True)),
    Column("updated_at", DateTime(timezone=True)),
    Column("version", Integer),
)


def fold(rows: Rows, recorded: Recorded) -> None:
    """Move one product's row."""
    event = recorded.event
    if isinstance(event, product.ProductListed):
        rows.put(PRODUCTS, new_row(recorded, event))
        return
    row = rows.change(PRODUCTS, recorded.stream_id)
    row["version"] = recorded.version
    row["updated_at"] = recorded.occurred_at
    match event:
        case product.ProductRenamed(name):
            row["name"] = name
        case product.ProductRepriced(price):
            row["price"], row["currency"] = price.amount, price.currency
        case product.StockAdjusted(quantity) | product.StockReleased(_, quantity):
            row["stock"] += quantity
        case product.StockReserved(_, quantity):
            row["stock"] -= quantity
        case product.ProductWithdrawn():
            row["status"] = "withdrawn"


def new_row(recorded: Recorded, event: product.ProductListed) -> Row:
    """Return the row of a product that is offered for the first time."""
    return {
        "id": recorded.stream_id,
        "sku": event.sku,
        "name": event.name,
        "currency": event.price.currency,
        "price": event.price.amount,
        "stock": event.stock,
        "status": "for_sale",
        "created_at": recorded.occurred_at,
        "updated_at": recorded.occurred_at,
        "version": recorded.version,
    }


PROJECTION = Projection(
    name="products",
    version=1,
    tables=[PRODUCTS],
    events=[
        product.ProductListed,
        product.ProductRenamed,
        product.ProductRepriced,
        product.StockAdjusted,
        product.StockReserved,
        product.StockReleased,
        product.ProductWithdrawn,
    ],
    key="id",
    needs=OwnRow(PRODUCTS),
    fold=fold,
)


class ProductView(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A product as anyone sees it; `stock` null: not tracked."""

    id: UUID
    sku: str
    name: str
    price: MoneyView
    stock: int | None
    status: Status
    created_at: datetime
    updated_at: datetime
    version: int


def product_view(row: Row) -> ProductView:
    """Show a row."""
    return ProductView(
        id=row["id"],
        sku=row["sku"],
        name=row["name"],
        price=money_view(row["price"], row["currency"]),
        stock=row["stock"],
        status=row["status"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        version=row["version"],
    )


# What is not tracked never runs out. There is an index on just this expression.
STOCK = func.coalesce(PRODUCTS.c.stock, literal_column("9223372036854775807"), type_=BigInteger)


LISTING = Listing(
    projection=PROJECTION,
    rows=PRODUCTS,
    filters={
        "sku": (PRODUCTS.c.sku == bindparam("sku"), as_is),
        "name": (PRODUCTS.c.name.ilike(bindparam("name")), containing),
        "minPrice": (PRODUCTS.c.price >= bindparam("minPrice"), as_is),
        "maxPrice": (PRODUCTS.c.price <= bindparam("maxPrice"), as_is),
        "inStock": ((STOCK > 0) == bindparam("inStock"), as_is),
        "status": (PRODUCTS.c.status == bindparam("status"), as_is),
    },
    sorts={
        "createdAt": ["created_at"],
        "updatedAt": ["updated_at"],
        "sku": ["sku"],
        "name": ["name"],
        "price": ["price"],
        "stock": ["stock_or_endless"],
    },
    ranges=[range_of("minPrice", "maxPrice", PRODUCTS.c.price.type)],
    expressions={"stock_or_endless": STOCK},
    default_sort="createdAt",
    streams={"sku": lambda sku: Question(facts={"name": "product.listed"}, data={"data.sku": sku})},
)
