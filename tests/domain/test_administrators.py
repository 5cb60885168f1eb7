"""The group of administrators, which is never left empty."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.administrators import (
    AdministratorAppointed,
    AdministratorDismissed,
    Administrators,
    LastAdministrator,
    appoint,
    dismiss,
    evolve,
)
from tests.domain.given import ALICE, BOB, state_of

people = st.sampled_from([UUID(int=number) for number in range(4)])


def test_an_administrator_is_appointed_once() -> None:
    assert appoint(None, ALICE) == [AdministratorAppointed(ALICE)]
    group = state_of(evolve, [AdministratorAppointed(ALICE)])
    assert appoint(group, ALICE) == []
    assert appoint(group, BOB) == [AdministratorAppointed(BOB)]


def test_one_of_two_administrators_can_be_dismissed() -> None:
    group = state_of(evolve, [AdministratorAppointed(ALICE), AdministratorAppointed(BOB)])
    assert dismiss(group, ALICE) == [AdministratorDismissed(ALICE)]
    assert evolve(group, AdministratorDismissed(ALICE)).members == {BOB}


def test_the_last_administrator_cannot_be_dismissed() -> None:
    group = state_of(evolve, [AdministratorAppointed(ALICE)])
    with pytest.raises(LastAdministrator):
        dismiss(group, ALICE)


def test_whoever_is_no_administrator_need_not_be_dismissed() -> None:
    assert dismiss(None, BOB) == []
    assert dismiss(state_of(evolve, [AdministratorAppointed(ALICE)]), BOB) == []


@given(st.lists(st.tuples(st.booleans(), people)))
def test_the_group_never_becomes_empty(moves: list[tuple[bool, UUID]]) -> None:
    group: Administrators | None = None
    for comes, person in [(True, ALICE), *moves]:
        try:
            events = appoint(group, person) if comes else dismiss(group, person)
        except LastAdministrator:
            continue
        for event in events:
            group = evolve(group, event)
        assert group is not None
        assert group.members
