"""A recount of the retailer's file that shares no code with Daybook: csv and Decimal alone."""

import csv
import gzip
from collections import defaultdict
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

PENNY = Decimal("0.01")


@dataclass
class Sums:
    """Orders, units and revenue of a day, a product or a customer."""

    orders: set[str] = field(default_factory=set)
    units: int = 0
    revenue: Decimal = Decimal()


@dataclass
class Recount:
    """What the file says."""

    read: int = 0
    refused: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    totals: dict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    by_day: dict[str, Sums] = field(default_factory=lambda: defaultdict(Sums))
    by_product: dict[str, Sums] = field(default_factory=lambda: defaultdict(Sums))
    by_customer: dict[str, Sums] = field(default_factory=lambda: defaultdict(Sums))

    @property
    def accepted(self) -> int:
        """Return how many lines stand."""
        return self.read - sum(self.refused.values())


def recount(path: Path) -> Recount:
    """Count the file."""
    result = Recount()
    day_of: dict[str, str] = {}
    customer_of: dict[str, str] = {}
    with gzip.open(path, "rt", encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            result.read += 1
            quantity, price = int(row["Quantity"]), Decimal(row["UnitPrice"])
            if row["InvoiceNo"].startswith("C"):
                result.refused["invoice cancelled"] += 1
            elif quantity <= 0:
                result.refused["quantity not positive"] += 1
            elif price <= 0:
                result.refused["price not positive"] += 1
            elif not row["CustomerID"]:
                result.refused["no customer"] += 1
            else:
                invoice = row["InvoiceNo"]
                day_of.setdefault(invoice, row["InvoiceDate"][:10])
                customer_of.setdefault(invoice, row["CustomerID"].replace(".0", ""))
                result.totals[invoice] += quantity * price
                for group, key in (
                    (result.by_day, day_of[invoice]),
                    (result.by_customer, customer_of[invoice]),
                    (result.by_product, row["StockCode"]),
                ):
                    group[key].orders.add(invoice)
                    group[key].units += quantity
                result.by_product[row["StockCode"]].revenue += quantity * price
    for invoice, exact in result.totals.items():
        total = exact.quantize(PENNY, ROUND_HALF_UP)
        result.totals[invoice] = total
        result.by_day[day_of[invoice]].revenue += total
        result.by_customer[customer_of[invoice]].revenue += total
    return result
