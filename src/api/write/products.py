"""The catalogue over HTTP: list, change, adjust stock, withdraw."""

from typing import Annotated
from uuid import UUID

import msgspec
from litestar.di import NamedDependency
from litestar.openapi.spec import Schema
from litestar.params import FromPath, JSONBody

from api.envelope import Answer, Success
from api.guards import STAFF
from api.links import ID, links_to, links_to_view
from api.money import PriceText
from api.request import ApiRequest
from api.routes import V1, route
from api.write.intake import Intake
from api.write.receipts import (
    Changed,
    answered,
    changed,
    check_no_body,
    created,
    gone,
)
from api.write.texts import described, written
from commands.products.adjust_stock import AdjustStock, adjust_stock
from commands.products.change_product import ChangeProduct, change_product
from commands.products.list_product import ListProduct, list_product
from commands.products.withdraw_product import WithdrawProduct, withdraw_product
from domain.product import LARGEST_STOCK

TAG = "Products"
PRODUCT = f"{V1}/products/{{product_id:str}}"
REFUSALS = ("NOT_FOUND", "INVALID_STATE", "VERSION_CONFLICT", "PRECONDITION_FAILED")

OF_PRODUCT = {
    **links_to_view("showProduct", product_id=ID),
    **links_to("changeProductDetails", "adjustProductStock", "removeProduct", product_id=ID),
    **links_to("createOrder", body={"items": [{"productId": ID, "quantity": 1}]}),
}

Name = Annotated[str, written("White hanging heart")]


class Body(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """What all bodies here have in common."""


class NewProduct(Body, frozen=True):
    """What to offer."""

    sku: Annotated[str, written("85123A", 64)]
    name: Name
    price: PriceText
    stock: (
        Annotated[
            int,
            msgspec.Meta(ge=0, le=LARGEST_STOCK, examples=[100]),
        ]
        | None
    )


class ProductChange(Body, frozen=True):
    """What is to be another; the rest stays."""

    name: Name | msgspec.UnsetType = msgspec.UNSET
    price: PriceText | msgspec.UnsetType = msgspec.UNSET


class StockAdjustment(Body, frozen=True):
    """How many pieces more (+) or fewer (-), and why."""

    quantity: Annotated[
        int,
        msgspec.Meta(ge=-LARGEST_STOCK, le=LARGEST_STOCK),
        described(-2, schema_not=Schema(const=0)),
    ]
    reason: Annotated[str, written("broken")]


class StockAdjusted(msgspec.Struct, frozen=True, rename="camel"):
    """The product's version, and what can be ordered now."""

    id: UUID
    version: int
    stock: int


@route(
    "POST",
    f"{V1}/products",
    who=STAFF,
    summary="List a product",
    tag=TAG,
    status=201,
    refusals=["SKU_TAKEN", "PRECONDITION_FAILED"],
    links=OF_PRODUCT,
)
async def create_product(
    request: ApiRequest, data: JSONBody[NewProduct], intake: NamedDependency[Intake]
) -> Answer[Success[Changed]]:
    """Offer a product. Stock null: it is not tracked."""
    command = ListProduct(sku=data.sku, name=data.name, price=data.price.value(), stock=data.stock)
    receipt = await intake.take(request, list_product, command)
    data_of = Changed(receipt.id, receipt.version)
    return created(receipt, f"{V1}/products/{receipt.id}", data_of)


@route(
    "PATCH",
    PRODUCT,
    who=STAFF,
    summary="Change a product",
    tag=TAG,
    refusals=REFUSALS,
    links=OF_PRODUCT,
)
async def change_product_details(
    request: ApiRequest,
    product_id: FromPath[UUID],
    data: JSONBody[ProductChange],
    intake: NamedDependency[Intake],
) -> Answer[Success[Changed]]:
    """Change the name, or the price of orders from now on."""
    command = ChangeProduct(
        product_id=product_id,
        name=None if data.name is msgspec.UNSET else data.name,
        price=None if data.price is msgspec.UNSET else data.price.value(),
    )
    return changed(await intake.take(request, change_product, command))


@route(
    "POST",
    f"{PRODUCT}/stock-adjustments",
    who=STAFF,
    summary="Adjust a product's stock",
    tag=TAG,
    refusals=[*REFUSALS, "OUT_OF_STOCK"],
    links=OF_PRODUCT,
)
async def adjust_product_stock(
    request: ApiRequest,
    product_id: FromPath[UUID],
    data: JSONBody[StockAdjustment],
    intake: NamedDependency[Intake],
) -> Answer[Success[StockAdjusted]]:
    """Count stock in or out, never below what orders have reserved."""
    command = AdjustStock(product_id=product_id, quantity=data.quantity, reason=data.reason)
    receipt = await intake.take(request, adjust_stock, command)
    return answered(receipt, StockAdjusted(receipt.id, receipt.version, receipt.answer.stock))


@route(
    "DELETE",
    PRODUCT,
    who=STAFF,
    summary="Withdraw a product",
    tag=TAG,
    status=204,
    refusals=REFUSALS,
)
async def remove_product(
    request: ApiRequest, product_id: FromPath[UUID], intake: NamedDependency[Intake]
) -> Answer[None]:
    """Stop selling the product; orders that hold it go on."""
    await check_no_body(request)
    command = WithdrawProduct(product_id=product_id)
    return gone(await intake.take(request, withdraw_product, command))


HANDLERS = [create_product, change_product_details, adjust_product_stock, remove_product]
