"""Sealing what a command appends, and opening what was read: between the codec and the callers."""

from collections.abc import Iterable
from functools import partial
from uuid import UUID

import msgspec

from domain.personal import FORGOTTEN, is_personal, personal_fields
from event_store.event_types import EVENT_TYPES, Event, Opened
from event_store.privacy.keyring import Key, Keys, hashed
from event_store.privacy.tokens import (
    TOKEN,
    Damaged,
    Place,
    open_sealed,
    seal_fields,
    subject_named,
    subjects_in,
)
from event_store.records import Append, Claim, StreamChange


class NoSubject(Exception):  # noqa: N818 - reads as what was found
    """An event has personal fields, and it is not said whom they are about."""


def subjects_of(effect: Append) -> set[UUID]:
    """Return whom the personal fields of a command's events are about."""
    return {subject_of(change) for change in effect.changes if is_about_somebody(change)}


def is_about_somebody(change: StreamChange) -> bool:
    """Tell whether a change has an event with personal fields."""
    return any(map(is_personal, change.events))


def subject_of(change: StreamChange) -> UUID:
    """Return whom a change is about; `NoSubject`."""
    if change.subject is None:
        raise NoSubject(f"Nobody is the subject of stream {change.stream_id}.")
    return change.subject


def has_personal_claims(effect: Append) -> bool:
    """Tell whether a command claims values that are personal."""
    return any(claim.personal for claim in effect.claims)


def sealed(effect: Append, keys: Keys, lookup: Key | None) -> Append:
    """Return the command with its personal fields encrypted and its personal claims hashed.

    Of those who are forgotten nothing is kept: `FORGOTTEN` takes the place of their fields.
    """
    changes = tuple(sealed_change(one, keys) for one in effect.changes)
    claims = effect.claims
    if lookup is not None:
        claims = tuple(hashed_claim(one, lookup) if one.personal else one for one in claims)
    return msgspec.structs.replace(effect, changes=changes, claims=claims)


def hashed_claim(claim: Claim, lookup: Key) -> Claim:
    """Return a claim of what stands for the value."""
    value = hashed(lookup, claim.scope, claim.value)
    return msgspec.structs.replace(claim, value=value, personal=False)


def sealed_change(change: StreamChange, keys: Keys) -> StreamChange:
    """Return a change with the personal fields of its events encrypted."""
    if not is_about_somebody(change):
        return change
    subject = subject_of(change)
    key = keys[subject]
    events = tuple(
        sealed_event(event, subject, key, change.stream_id, version)
        for version, event in enumerate(change.events, change.expected_version + 1)
    )
    return msgspec.structs.replace(change, events=events)


def sealed_event(
    event: Event, subject: UUID, key: Key | None, stream_id: UUID, version: int
) -> Event:
    """Return an event with its personal fields encrypted."""
    fields = personal_fields(type(event))
    if not fields:
        return event
    if key is None:
        sealed_texts = dict.fromkeys(fields, FORGOTTEN)
    else:
        texts = {field: getattr(event, field) for field in fields}
        sealed_texts = seal_fields(texts, subject, key.cipher, stream_id, version)
    return msgspec.structs.replace(event, **sealed_texts)


def subjects_in_rows(stored: Iterable[tuple[str, int, str]]) -> set[UUID]:
    """Return the subjects of stored events, given as name, schema version and data."""
    found: set[UUID] = set()
    for name, schema_version, data in stored:
        if (name, schema_version) in EVENT_TYPES.sealed:
            found |= subjects_in(data)
    return found


def opener(keys: Keys, stream_id: UUID, version: int) -> Opened:
    """Return what opens the fields of an event with these keys."""
    return partial(opened, keys, stream_id, version)


def opened(keys: Keys, stream_id: UUID, version: int, field: str, text: str) -> str:
    """Return what a field of a stored event means: `FORGOTTEN` if its subject's key is no more.

    A text that was not encrypted is returned as it is. Raises `Damaged`.
    """
    token = TOKEN.fullmatch(text)
    if token is None:
        return text
    subject = subject_named(token[1])
    if subject not in keys:
        message = f"The key of {subject} is missing, and {field} of {stream_id} needs it"
        raise Damaged(message)
    if (key := keys[subject]) is None:
        return FORGOTTEN
    return open_sealed(token[2], key.cipher, Place(stream_id, version, field))
