"""A list of events with a history: three versions of one event, two of them no longer written."""

import msgspec
import pytest

from domain.order import OrderDelivered
from event_store.event_types import EVENT_TYPES, EventTypes
from event_store.upcasters import Data


class Moved(msgspec.Struct, frozen=True):
    """Version 1 had `place`; version 2 called it `city`; version 3 has the country too."""

    city: str
    country: str


def place_is_a_city(data: Data) -> Data:
    return {"city": data["place"]}


def city_has_a_country(data: Data) -> Data:
    return {**data, "country": "GB" if data["city"] == "Leeds" else "ZZ"}


STORED = {1: '{"place":"Leeds"}', 2: '{"city":"Leeds"}', 3: '{"city":"Leeds","country":"GB"}'}
UPCASTERS = {("user.moved", 1): place_is_a_city, ("user.moved", 2): city_has_a_country}
# A class that is not among the domain's events stands in for one of them.
TYPES = EventTypes({("order.delivered", 1): OrderDelivered, ("user.moved", 3): Moved}, UPCASTERS)


def rule(monkeypatch: pytest.MonkeyPatch, types: EventTypes) -> None:
    """Let the whole program read and write by another list of events, for one test."""
    for name, value in vars(types).items():
        monkeypatch.setattr(EVENT_TYPES, name, value)
