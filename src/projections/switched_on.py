"""Which projections are posted: the one list. A new one also needs a migration for its tables."""

from projections import orders, products, sales_by_customer, sales_by_day, sales_by_product, users
from projections.projection import Projection

PROJECTIONS: dict[str, Projection] = {
    projection.name: projection
    for projection in (
        users.PROJECTION,
        products.PROJECTION,
        orders.PROJECTION,
        sales_by_day.PROJECTION,
        sales_by_product.PROJECTION,
        sales_by_customer.PROJECTION,
    )
}
