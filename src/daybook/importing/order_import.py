"""Importing orders: the lines of a file become commands, many at a time, each at most once."""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable
from decimal import Decimal
from functools import lru_cache
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

import msgspec

from commands.execution import create_once
from commands.orders.import_order import ImportedLine, ImportOrder, import_order
from commands.products.import_product import ImportProduct, import_product
from commands.users.import_customer import ImportCustomer, import_customer
from commands.work import EMAIL, SKU, Asker, Tools
from daybook.importing.order_file import Entry, Rejected
from domain.money import Money, checked_price
from domain.order import LARGEST_QUANTITY, MOST_LINES
from domain.plain_text import checked_text
from domain.product import checked_sku
from domain.refusal import Invalid, Refusal
from domain.user import EmailTaken, checked_name, email_key

NAMESPACE = uuid5(NAMESPACE_URL, "urn:daybook:import")
AT_ONCE = 400
LINES_BETWEEN_BREATHS = 100
SCATTERED = "invoice in two places"
MIXED = "invoice with two customers or currencies"
TOO_LONG = f"invoice with more than {MOST_LINES} lines"


class Outcome(msgspec.Struct):
    """What became of the lines and of what they name: accepted + refused = read."""

    read: int = 0
    accepted: int = 0
    refused: Counter[str] = msgspec.field(default_factory=Counter)
    orders: int = 0
    orders_known: int = 0
    customers: int = 0
    products: int = 0


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
            if self.outcome.read % LINES_BETWEEN_BREATHS == 0:
                await asyncio.sleep(0)  # what is under way has to be answered in time
            if isinstance(line, Rejected):
                self._refuse(line, line.reason)
            elif line.invoice in self._finished:
                self._refuse(line, SCATTERED)
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

    def _refuse(self, line: Entry | Rejected, reason: str) -> None:
        self.outcome.refused[reason] += 1
        self._reject(Rejected(line.line, line.invoice, reason))

    async def _import_invoice(self, entries: list[Entry]) -> None:
        first = entries[0]
        self._finished.add(first.invoice)
        mixed = len({(entry.customer, entry.currency) for entry in entries}) > 1
        if mixed or len(entries) > MOST_LINES:
            for entry in entries:
                self._refuse(entry, MIXED if mixed else TOO_LONG)
            return
        lines = [(entry, line) for entry in entries if (line := await self._line(entry))]
        if not lines:
            return
        try:
            reference = checked_text("invoice", first.invoice)
            user_id = await self._customer(first.customer)
        except Refusal as refusal:
            for entry, _ in lines:
                self._refuse(entry, refusal.message)
            return
        request = ImportOrder(
            order_id=derived_id("invoice", first.invoice),
            reference=reference,
            user_id=user_id,
            currency=first.currency,
            lines=[line for _, line in lines],
        )
        asker = msgspec.structs.replace(self._asker, occurred_at=first.placed_at)
        await self._start(self._append_order(asker, request))

    async def _append_order(self, asker: Asker, request: ImportOrder) -> None:
        if await create_once(self._tools, asker, import_order, request):
            self.outcome.orders += 1
        else:
            self.outcome.orders_known += 1
        self.outcome.accepted += len(request.lines)

    async def _customer(self, reference: str) -> UUID:
        """Return the account of a customer, which comes to be if there is none; a `Refusal`."""
        email = f"customer-{reference}@imported.invalid"
        key = email_key(email)
        known = self._customers.get(key)
        if known is None:
            known = derived_id("customer", email_key(reference))
            holder = await self._tools.store.find(EMAIL, key, personal=True)
            if holder is None:
                name = checked_name(f"Customer {reference}")
                request = ImportCustomer(user_id=known, reference=reference, email=email, name=name)
                await self._start(self._append_customer(request))
            elif holder != known and not await self._tools.store.load(known):
                # Whoever registered the address first must not be given a customer's orders.
                raise EmailTaken
            self._customers[key] = known
        return known

    async def _append_customer(self, request: ImportCustomer) -> None:
        if await create_once(self._tools, self._asker, import_customer, request):
            self.outcome.customers += 1

    async def _line(self, entry: Entry) -> ImportedLine | None:
        try:
            if entry.quantity > LARGEST_QUANTITY:
                raise Invalid(f"A quantity is from 1 to {LARGEST_QUANTITY}.")
            sku, name, price = article(entry.sku, entry.description, entry.price, entry.currency)
        except Refusal as refusal:
            self._refuse(entry, refusal.message)
            return None
        product_id = self._products.get(sku) or await self._product(sku, name, price)
        return ImportedLine(product_id, sku, name, entry.quantity, price.amount)

    async def _product(self, sku: str, name: str, price: Money) -> UUID:
        known = await self._tools.store.find(SKU, sku)
        if known is None:
            known = derived_id("product", sku)
            request = ImportProduct(product_id=known, sku=sku, name=name, price=price)
            await self._start(self._append_product(request))
        self._products[sku] = known
        return known

    async def _append_product(self, request: ImportProduct) -> None:
        if await create_once(self._tools, self._asker, import_product, request):
            self.outcome.products += 1

    async def _start(self, append: Coroutine[Any, Any, Any]) -> None:
        """Let an append go on beside the reading; wait here while too many are under way."""
        try:
            await self._room.acquire()
            self._check_failure()
        except BaseException:
            append.close()  # it will never be awaited
            raise
        task = asyncio.create_task(append)
        self._under_way.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._room.release()
        self._under_way.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self._failure = self._failure or error


@lru_cache(maxsize=20_000)
def article(sku: str, name: str, price: Decimal, currency: str) -> tuple[str, str, Money]:
    """Return what a line sells in the catalogue's form; the `Refusal` of what it would refuse."""
    exact = checked_price("price", Money(price, currency))
    return checked_sku(sku), checked_text("name", name), exact
