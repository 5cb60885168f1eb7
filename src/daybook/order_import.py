"""Importing orders: the lines of a file become commands, many at a time, each at most once."""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

import msgspec

from commands.orders.import_order import ImportedLine, ImportOrder, import_order
from commands.products.import_product import ImportProduct, import_product
from commands.users.import_customer import ImportCustomer, import_customer
from commands.work import EMAIL, SKU, Asker, Tools, create_once
from daybook.order_file import Entry, Rejected
from domain.money import Money, checked_price
from domain.product import checked_sku, list_for_sale
from domain.refusal import Refusal
from domain.user import email_key

NAMESPACE = uuid5(NAMESPACE_URL, "urn:daybook:import")
AT_ONCE = 400
SCATTERED = "invoice in two places"


class Outcome(msgspec.Struct):
    """What became of the lines and of what they name: accepted + refused = read."""

    read: int = 0
    accepted: int = 0
    refused: Counter[str] = msgspec.field(default_factory=Counter)
    orders: int = 0
    orders_known: int = 0
    customers: int = 0
    products: int = 0
    position: int = 0


def derived_id(kind: str, reference: str) -> UUID:
    """Return the id that a reference always leads to, so that importing again adds nothing."""
    return uuid5(NAMESPACE, f"{kind}:{reference}")


class OrderImport:
    """One run of an import; appends are made in the order of the file, up to 400 under way."""

    def __init__(self, tools: Tools, asker: Asker, reject: Callable[[Rejected], None]) -> None:
        """`reject` is told each line that is not imported."""
        self.outcome = Outcome()
        self._tools, self._asker, self._reject = tools, asker, reject
        self._customers: dict[str, UUID] = {}
        self._products: dict[str, UUID] = {}
        self._finished: set[str] = set()
        self._room = asyncio.Semaphore(AT_ONCE)
        self._under_way: set[asyncio.Task[Any]] = set()
        self._failure: BaseException | None = None

    async def run(self, lines: Iterable[Entry | Rejected]) -> Outcome:
        """Import the lines; the lines of one invoice stand together."""
        invoice: list[Entry] = []
        for line in lines:
            self.outcome.read += 1
            if isinstance(line, Rejected):
                self._refuse(line)
            elif line.invoice in self._finished:
                self._refuse(Rejected(line.line, line.invoice, SCATTERED))
            else:
                if invoice and line.invoice != invoice[0].invoice:
                    await self._import_invoice(invoice)
                    invoice = []
                invoice.append(line)
        if invoice:
            await self._import_invoice(invoice)
        if self._under_way:
            await asyncio.wait(self._under_way)
        self._check_failure()
        return self.outcome

    def _check_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _refuse(self, rejected: Rejected) -> None:
        self.outcome.refused[rejected.reason] += 1
        self._reject(rejected)

    async def _import_invoice(self, entries: list[Entry]) -> None:
        first = entries[0]
        self._finished.add(first.invoice)
        if len({(entry.customer, entry.currency) for entry in entries}) > 1:
            reason = "invoice with two customers or currencies"
            for entry in entries:
                self._refuse(Rejected(entry.line, entry.invoice, reason))
            return
        lines = [line for entry in entries if (line := await self._line(entry))]
        if not lines:
            return
        user_id = await self._customer(first.customer)
        request = ImportOrder(
            order_id=derived_id("invoice", first.invoice),
            reference=first.invoice,
            user_id=user_id,
            currency=first.currency,
            lines=lines,
        )
        asker = msgspec.structs.replace(self._asker, occurred_at=first.placed_at)
        await self._start(self._append_order(asker, request))

    async def _append_order(self, asker: Asker, request: ImportOrder) -> None:
        receipt = await create_once(self._tools, asker, import_order, request)
        self.outcome.accepted += len(request.lines)
        if receipt is None:
            self.outcome.orders_known += 1
        else:
            self.outcome.orders += 1
            self.outcome.position = max(self.outcome.position, receipt.position)

    async def _customer(self, reference: str) -> UUID:
        known = self._customers.get(reference)
        if known is None:
            email = f"customer-{reference}@imported.invalid"
            known = await self._tools.store.find(EMAIL, email_key(email))
            if known is None:
                known = derived_id("customer", reference)
                self.outcome.customers += 1
                request = ImportCustomer(
                    user_id=known,
                    reference=reference,
                    email=email,
                    name=f"Customer {reference}",
                )
                await self._start(create_once(self._tools, self._asker, import_customer, request))
            self._customers[reference] = known
        return known

    async def _line(self, entry: Entry) -> ImportedLine | None:
        try:
            price = checked_price("price", Money(entry.price, entry.currency))
            product_id = self._products.get(entry.sku) or await self._product(entry, price)
        except Refusal as refusal:
            self._refuse(Rejected(entry.line, entry.invoice, refusal.message))
            return None
        return ImportedLine(product_id, entry.sku, entry.description, entry.quantity, price.amount)

    async def _product(self, entry: Entry, price: Money) -> UUID:
        known = await self._tools.store.find(SKU, checked_sku(entry.sku))
        if known is None:
            known = derived_id("product", entry.sku)
            list_for_sale(entry.sku, entry.description, price, None)  # a refusal comes here
            self.outcome.products += 1
            request = ImportProduct(
                product_id=known, sku=entry.sku, name=entry.description, price=price
            )
            await self._start(create_once(self._tools, self._asker, import_product, request))
        self._products[entry.sku] = known
        return known

    async def _start(self, append: Coroutine[Any, Any, Any]) -> None:
        """Let an append go on beside the reading; wait here while too many are under way."""
        await self._room.acquire()
        self._check_failure()
        task = asyncio.create_task(append)
        self._under_way.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._room.release()
        self._under_way.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self._failure = self._failure or error
