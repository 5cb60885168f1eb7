"""What `daybook audit` asks of history on this machine; the operator is recorded as any auditor."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar
from uuid import UUID

import msgspec
from rich.text import Text
from rich.tree import Tree

from daybook.command_line.operator_commands import access
from daybook.migrate import migrate
from daybook.services import ServiceError, services
from daybook.settings import Settings
from event_store.history.accesses import Accesses, Noted
from event_store.history.differences import Change
from event_store.history.entries import Entry
from event_store.history.questions import Question
from event_store.history.surroundings import Session, Surroundings, Trace
from event_store.sign_in_records import SignIn, SignInQuery
from event_store.trail import Trail

MOST_TRACED = 1_000
LONGEST_POSITION = 18
LONGEST_SHOWN = 60

Answer = TypeVar("Answer")


def asked(settings: Settings, ask: Callable[[Trail], Awaitable[Answer]]) -> Answer:
    """Ask the log of this machine."""

    async def run(database_url: str) -> Answer:
        async with Trail(database_url) as trail:
            return await ask(trail)

    with services(settings) as found:
        migrate(found.database_url)
        return asyncio.run(run(found.database_url))


def events(
    settings: Settings, question: Question, limit: int, words: dict[str, Any]
) -> tuple[list[Entry], bool]:
    """Return the first events that a question asks for, and whether there are more."""
    return asked(settings, lambda trail: trail.events(question, limit, access("events", **words)))


def sign_ins(
    settings: Settings, query: SignInQuery, words: dict[str, Any]
) -> tuple[list[SignIn], bool]:
    """Return records of sign-ins, and whether there are more."""
    noted = access("sign-ins", **words)
    return asked(settings, lambda trail: trail.sign_ins(query, noted))


def accesses(
    settings: Settings, wanted: Accesses, words: dict[str, Any]
) -> tuple[list[Noted], bool]:
    """Return records of who asked what, of erasures and operations, and whether there are more."""
    return asked(settings, lambda trail: trail.accesses(wanted, access("accesses", **words)))


def accesses_text(found: list[Noted]) -> Text:
    """Lay records of accesses out for people, two lines each."""
    lines = []
    for one in found:
        done = f"{one.number}  {one.at:%Y-%m-%d %H:%M:%S}Z  {one.kind}: {one.action}"
        who = f"by {one.actor_id} ({one.actor_role})  {one.rows:,} rows"
        asked = msgspec.json.decode(one.asked, type=dict[str, Any])
        words = " ".join(f"{name}={value}" for name, value in asked.items())
        lines += [f"{done}  {who}", f"    {words}"]
    return Text("\n".join(lines))


def sign_ins_text(found: list[SignIn]) -> Text:
    """Lay records of sign-ins out for people, two lines each."""
    lines = []
    for one in found:
        who = f"  user {one.user_id}" if one.user_id else ""
        lines += [
            f"{one.number}  {one.at:%Y-%m-%d %H:%M:%S}Z  {one.kind}{who}",
            f"    from {one.address}  {one.agent}",
        ]
    return Text("\n".join(lines) or "Nothing was found.")


def event(settings: Settings, position: int, most: int) -> Surroundings:
    """Return an event with its neighbours."""
    noted = access("event", position=position)
    found = asked(settings, lambda trail: trail.around(position, most, noted))
    if found is None:
        raise ServiceError(f"There is no event at position {position}.")
    return found


def stream(
    settings: Settings, stream_id: UUID, after: int, limit: int
) -> tuple[list[Change], bool]:
    """Return what the first events of a stream after a position changed, and whether more did."""
    noted = access("stream", streamId=stream_id, after=after)
    return asked(settings, lambda trail: trail.changes(stream_id, after, limit, noted))


def events_text(found: list[Entry]) -> Text:
    """Lay events out for people, two lines each: whole ids, to be typed again."""
    lines = []
    for one in found:
        happened = f"{one.occurred_at:%Y-%m-%d %H:%M:%S}Z"
        lines += [
            f"{one.position:,}  {happened}  {one.name}  {one.stream_type} {one.stream_id}",
            f"    version {one.version}, {one.command} by {one.actor_id} ({one.actor_role})",
        ]
    return Text("\n".join(lines) or "Nothing was found.")


def event_tree(found: Surroundings) -> Tree:
    """Lay an event out with its neighbours."""
    one = found.event
    tree = Tree(f"[bold]{one.position:,} {one.name}[/] {one.stream_type} {one.stream_id}")
    for name in ("version", "actor_id", "actor_role", "command", "request_id", "correlation_id"):
        tree.add(f"{name} {getattr(one, name)}")
    tree.add(f"happened {one.occurred_at:%Y-%m-%d %H:%M:%S.%f}Z")
    tree.add(f"recorded {one.recorded_at:%Y-%m-%d %H:%M:%S.%f}Z")
    for session in found.sessions:
        tree.add(session_text(session))
    tree.add("data").add(bytes(one.data).decode(), highlight=True)
    others = (("caused by", [found.cause] if found.cause else []), ("caused", found.caused))
    for title, events_ in (*others, ("same request", found.request)):
        branch = tree.add(f"{title}: {len(events_) or 'none'}")
        for other in events_:
            branch.add(f"{other.position:,} {other.name} {other.stream_type} {other.stream_id}")
    return tree


def changes_text(found: list[Change]) -> Text:
    """Lay a stream's changes out: who changed what, from what, to what."""
    lines = []
    for one in found:
        happened, who = (
            f"{one.occurred_at:%Y-%m-%d %H:%M:%S}Z",
            f"{one.actor_id} ({one.actor_role})",
        )
        lines.append(f"version {one.version}  {happened}  {one.name}  by {who}")
        for what in one.differences:
            before = "" if what.before is None else f"{short(what.before)} -> "
            lines.append(f"    {what.field}: {before}{short(what.after)}")
    return Text("\n".join(lines) or "Nothing was found.")


def short(value: object) -> str:
    """Return a value as it fits into a line."""
    text = "nothing" if value is None else str(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[: LONGEST_SHOWN - 1]}…"


def trace(settings: Settings, under: str) -> Trace:
    """Return what belongs together: under a correlation id, with a request, or with an event."""
    found = asked(settings, lambda trail: traced(trail, under))
    if not found.events:
        raise ServiceError(f"Nothing belongs to {under}: no correlation, request or position.")
    return found


async def traced(trail: Trail, under: str) -> Trace:
    """Look a correlation up, else the one of a request or of a position."""
    noted = access("trace", under=under)
    found = await trail.trace({"correlation_id": under}, MOST_TRACED, noted)
    if found.events:
        return found
    seeds, _ = await trail.events(Question(facts={"request_id": under}), 1, noted)
    if not seeds and under.isascii() and under.isdigit() and len(under) <= LONGEST_POSITION:
        at = int(under)
        seeds, _ = await trail.events(Question(positions=(at, at + 1)), 1, noted)
    if not seeds:
        return found
    return await trail.trace({"correlation_id": seeds[0].correlation_id}, MOST_TRACED, noted)


def trace_tree(found: Trace) -> Tree:
    """Lay events out under those that caused them, the oldest first, with who asked from where."""
    count = len(found.events)
    first = f"the first {count:,} of more events" if found.more else f"{count:,} events"
    tree = Tree(first if count > 1 else "1 event")
    branches: dict[int, Tree] = {}
    for one in found.events:
        above = branches.get(one.causation_id or 0, tree)
        branches[one.position] = above.add(
            f"{one.position:,} [bold]{one.name}[/] {one.stream_type} {one.stream_id}"
            f" by {one.actor_id} ({one.command}) {one.occurred_at:%Y-%m-%d %H:%M:%S}Z"
        )
    for request, sessions in found.sessions.items():
        branch = tree.add(f"request {request}")
        for session in sessions:
            branch.add(session_text(session))
    return tree


def session_text(session: Session) -> str:
    """Say from which session something was asked."""
    sure = "asked from" if session.exact else "perhaps asked from"
    moment = f"{session.kind} {session.at:%Y-%m-%d %H:%M:%S}Z"
    return f"{sure} session {session.session_id}, {session.address} ({moment})"
