"""Both sides in this process, some of everything to find, and an administrator who asks."""

import os

import pytest

from tests.api.conftest import (
    Client,
    Json,
    Person,
    admin,
    customer,
    list_product,
    place_order,
    staff,
    tokens,
)
from tests.api.read.conftest import Post, client, post

__all__ = ["admin", "client", "customer", "post", "staff", "tokens"]

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "1"))


@pytest.fixture(scope="module")
def known(customer: Person, staff: Person, post: Post) -> Json:
    """Give an id of everything that a path can name; nobody signs in as these."""
    product = list_product(staff, stock=None)
    order = place_order(customer, product)
    post()
    return {"user_id": customer.id, "product_id": product, "order_id": order}


def documents(client: Client) -> list[Json]:
    """Return the documents of both versions."""
    return [client.get(path).json() for path in ("/openapi.json", "/openapi-v2.json")]
