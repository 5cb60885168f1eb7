"""What is stored is stored for ever: a golden file per event name and version says how."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from domain.administrators import AdministratorAppointed, AdministratorDismissed
from domain.money import Money
from domain.order import (
    Line,
    OrderCancelled,
    OrderDelivered,
    OrderForgotten,
    OrderImported,
    OrderNoteAdded,
    OrderPaid,
    OrderPlaced,
    OrderRefunded,
    OrderShipped,
    Sale,
)
from domain.product import (
    ProductListed,
    ProductRenamed,
    ProductRepriced,
    ProductWithdrawn,
    StockAdjusted,
    StockReleased,
    StockReserved,
)
from domain.projection_control import (
    HowToRebuild,
    ParkedFailureRetryRequested,
    ParkedFailureSkipRequested,
    ProjectionOperationEnded,
    ProjectionPaused,
    ProjectionPruneRequested,
    ProjectionRebuildCancelled,
    ProjectionRebuildRequested,
    ProjectionRebuildThrottled,
    ProjectionResumed,
    ProjectionRollbackRequested,
    ProjectionSwapRequested,
)
from domain.reaction_control import (
    ReactionOperationEnded,
    ReactionRetryRequested,
    ReactionSkipRequested,
)
from domain.session import SessionEnded, SessionRefreshed, SessionStarted
from domain.user import (
    UserClosed,
    UserEmailChanged,
    UserForgotten,
    UserImported,
    UserPasswordChanged,
    UserPasswordRehashed,
    UserRegistered,
    UserRenamed,
    UserRoleChanged,
)
from event_store.event_types import (
    EVENT_TYPES,
    STORED_AS,
    Event,
    UnknownEvent,
    UnreadableEvent,
    decode,
    encode,
    names_of,
)
from event_store.privacy.keyring import Key
from event_store.privacy.sealing import opener, sealed_event, subjects_in_rows
from event_store.privacy.tokens import TOKEN
from event_store.schemas import FILE, read
from tests.event_store.given import rows

GOLDEN = Path(__file__).parent / "golden"
ALICE = UUID("01900000-0000-7000-8000-00000000a11c")
TEAPOT = UUID("01900000-0000-7000-8000-000000007ea0")
ORDER = UUID("01900000-0000-7000-8000-00000000c0de")
SESSION = UUID("01900000-0000-7000-8000-0000005e5510")
OPERATION = UUID("01900000-0000-7000-8000-0000000a5ced")
ASKED = (OPERATION, "orders", "disk full")
HOLDING = HowToRebuild(hold=True)
NOON = datetime(2026, 11, 23, 12, 0, 0, 123456, tzinfo=UTC)
DIGEST = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
HASH = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA"
TOTAL = Money(Decimal("8.51"), "GBP")
LINES = (
    Line(TEAPOT, "TEA-1", 'Tea\u00adpot "Br\u00fcnn" \U0001fad6', 2, Decimal("4.2525"),
         Decimal("8.505"), reserved=True),
)  # fmt: skip
SALE = Sale(ALICE, NOON, TOTAL, LINES)

# One example of everything the log may hold, as this release reads it: an older version as the
# newest. The golden files are what was written, and are never changed; add new ones.
EXAMPLES: dict[tuple[str, int], Event] = {
    ("administrator.appointed", 1): AdministratorAppointed(ALICE),
    ("administrator.dismissed", 1): AdministratorDismissed(ALICE),
    ("order.placed", 1): OrderPlaced(ALICE, NOON, LINES, TOTAL),
    ("order.imported", 1): OrderImported("536365", ALICE, NOON, LINES, TOTAL),
    ("order.paid", 1): OrderPaid("bank-1", TOTAL),
    ("order.shipped", 1): OrderShipped("Royal Mail", "RM1"),
    ("order.shipped", 2): OrderShipped("Royal Mail", "RM1"),
    ("order.delivered", 1): OrderDelivered(),
    ("order.cancelled", 1): OrderCancelled("changed my mind", SALE),
    ("order.cancelled", 2): OrderCancelled("changed my mind", SALE),
    ("order.refunded", 1): OrderRefunded("broken", TOTAL, None),
    ("order.refunded", 2): OrderRefunded("broken", TOTAL, None),
    ("order.note_added", 1): OrderNoteAdded("leave it\nat the door"),
    ("order.note_added", 2): OrderNoteAdded("leave it\nat the door"),
    ("product.listed", 1): ProductListed("TEA-1", "Teapot", Money(Decimal("4.2525"), "GBP"), None),
    ("product.renamed", 1): ProductRenamed("Pot"),
    ("product.repriced", 1): ProductRepriced(Money(Decimal(100), "JPY")),
    ("product.stock_adjusted", 1): StockAdjusted(-3, "broken"),
    ("product.stock_reserved", 1): StockReserved(ORDER, 2),
    ("product.stock_released", 1): StockReleased(ORDER, 2),
    ("product.withdrawn", 1): ProductWithdrawn(),
    ("projection.paused", 1): ProjectionPaused(*ASKED),
    ("projection.resumed", 1): ProjectionResumed(*ASKED),
    ("projection.rebuild_requested", 1): ProjectionRebuildRequested(*ASKED, HOLDING),
    ("projection.rebuild_cancelled", 1): ProjectionRebuildCancelled(*ASKED),
    ("projection.rebuild_throttled", 1): ProjectionRebuildThrottled(*ASKED, 50),
    ("projection.swap_requested", 1): ProjectionSwapRequested(*ASKED),
    ("projection.rollback_requested", 1): ProjectionRollbackRequested(*ASKED),
    ("projection.prune_requested", 1): ProjectionPruneRequested(*ASKED),
    ("projection.failure_retry_requested", 1): ParkedFailureRetryRequested(*ASKED, 7),
    ("projection.failure_skip_requested", 1): ParkedFailureSkipRequested(*ASKED, 7),
    ("projection.operation_ended", 1): ProjectionOperationEnded(OPERATION, "orders", "done", "!"),
    ("reaction.retry_requested", 1): ReactionRetryRequested("welcome_mail", None, "it is up"),
    ("reaction.skip_requested", 1): ReactionSkipRequested("welcome_mail", 7, "gone"),
    ("reaction.operation_ended", 1): ReactionOperationEnded("welcome_mail", 8, "done", "!"),
    ("session.started", 1): SessionStarted(ALICE, 1, DIGEST, NOON),
    ("session.refreshed", 1): SessionRefreshed(ALICE, DIGEST, NOON),
    ("session.ended", 1): SessionEnded(ALICE, "reuse"),
    ("user.registered", 1): UserRegistered("alice@example.com", "Alice", HASH, "customer"),
    ("user.registered", 2): UserRegistered("alice@example.com", "Alice", HASH, "customer"),
    ("user.imported", 1): UserImported("c-17850@imported.invalid", "Customer 17850", "17850"),
    ("user.imported", 2): UserImported("c-17850@imported.invalid", "Customer 17850", "17850"),
    ("user.email_changed", 1): UserEmailChanged("a@example.com"),
    ("user.email_changed", 2): UserEmailChanged("a@example.com"),
    ("user.renamed", 1): UserRenamed("Al"),
    ("user.renamed", 2): UserRenamed("Al"),
    ("user.password_changed", 1): UserPasswordChanged(HASH, SESSION),
    ("user.password_changed", 2): UserPasswordChanged(HASH, SESSION),
    ("user.password_rehashed", 1): UserPasswordRehashed(HASH),
    ("user.password_rehashed", 2): UserPasswordRehashed(HASH),
    ("user.role_changed", 1): UserRoleChanged("staff", "customer"),
    ("user.closed", 1): UserClosed(),
    ("user.forgotten", 1): UserForgotten(),
    ("order.forgotten", 1): OrderForgotten(),
}  # fmt: skip
every_version = pytest.mark.parametrize(
    ("name", "version"), sorted(EXAMPLES), ids=[f"{n}.v{v}" for n, v in sorted(EXAMPLES)]
)
every_event = pytest.mark.parametrize(("name", "version"), sorted(STORED_AS))


# The key that the golden files are encrypted under, and the place that they are encrypted for.
SECRET = bytes(range(32))
KEYS = {ALICE: Key(SECRET, AESGCM(SECRET))}
OPENED = opener(KEYS, ORDER, 1)


def golden(name: str, version: int) -> str:
    """Return the stored form that was kept when this version of the event was released."""
    return (GOLDEN / f"{name}.v{version}.json").read_text(encoding="utf-8").rstrip("\n")


def test_every_version_ever_stored_has_an_example_a_golden_file_and_a_shape() -> None:
    assert set(EXAMPLES) == EVENT_TYPES.readable
    assert set(read(FILE)) == EVENT_TYPES.readable
    files = {path.name for path in GOLDEN.iterdir()}
    assert files == {f"{name}.v{version}.json" for name, version in EVENT_TYPES.readable}


@every_version
def test_a_stored_event_is_read_for_ever(name: str, version: int) -> None:
    assert decode(name, version, golden(name, version), None, OPENED) == EXAMPLES[name, version]


@every_event
def test_an_event_is_stored_in_the_same_bytes_for_ever(name: str, version: int) -> None:
    stored = golden(name, version)
    event = decode(name, version, stored)  # what is encrypted stays so: it would be other bytes
    assert (event == EXAMPLES[name, version]) == ((name, version) not in EVENT_TYPES.sealed)
    assert encode(event) == (name, version, stored)


@every_event
def test_a_personal_field_stands_in_the_log_as_a_token_of_its_subject(
    name: str, version: int
) -> None:
    sealed = sealed_event(EXAMPLES[name, version], ALICE, KEYS[ALICE], ORDER, 1)
    _, _, data = encode(sealed)
    fields = EVENT_TYPES.sealed.get((name, version), ())
    assert len(TOKEN.findall(data)) == len(fields)
    assert subjects_in_rows([(name, version, data)]) == ({ALICE} if fields else set())
    assert all(getattr(EXAMPLES[name, version], field) not in data for field in fields)
    assert decode(name, version, data, None, OPENED) == EXAMPLES[name, version]


def test_the_fields_that_were_encrypted_are_those_that_the_shapes_name() -> None:
    marked = {
        key: sorted(field for field, shape in schema["properties"].items() if shape.get("personal"))
        for key, schema in read(FILE).items()
    }
    assert {key: fields for key, fields in marked.items() if fields} == {
        key: sorted(fields) for key, fields in EVENT_TYPES.sealed.items()
    }


def test_events_come_back_the_same_through_jsonb(database_url: str) -> None:
    query = """
        select name, version, data::jsonb::text
          from unnest(%b::text[], %b::int[], %b::text[]) as e (name, version, data)
    """
    stored = [encode(event) for event in EXAMPLES.values()]
    found = rows(database_url, query, *map(list, zip(*stored, strict=True)))
    assert [decode(*row) for row in found] == list(EXAMPLES.values())


def test_an_event_of_a_newer_release_is_named() -> None:
    with pytest.raises(UnknownEvent, match=r"order\.paid version 2 at position 7") as unknown:
        decode("order.paid", 2, "{}", 7)
    assert (unknown.value.name, unknown.value.schema_version, unknown.value.position) == (
        "order.paid",
        2,
        7,
    )


@pytest.mark.parametrize(
    "data", ["", "{", "[]", "{}", '{"text": 1}', '{"text": null}', '{"text": "\ud800"}']
)
def test_bytes_that_do_not_fit_are_named(data: str) -> None:
    with pytest.raises(UnreadableEvent, match=r"order\.note_added version 1 at position 7"):
        decode("order.note_added", 1, data, 7)


def test_names_are_listed_once_and_sorted() -> None:
    assert names_of([OrderShipped, OrderPaid, OrderShipped]) == ["order.paid", "order.shipped"]
