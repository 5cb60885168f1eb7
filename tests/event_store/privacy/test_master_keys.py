"""Master keys wrap for one subject each, and old ones go on to open."""

from uuid import UUID

import pytest

from event_store.privacy.master_keys import LocalMasterKeys, Wrapped, WrongMasterKey

ALICE, BOB = UUID(int=1), UUID(int=2)
OLD, NEW = "an old secret of enough letters", "a new secret of enough letters"
KEYS = {ALICE: b"a" * 32, BOB: b"b" * 32}


def having(*secrets: str) -> LocalMasterKeys:
    return LocalMasterKeys(lambda: secrets)


def test_what_one_process_wraps_another_unwraps() -> None:
    wrapped = having(OLD).wrap(KEYS)
    assert having(OLD).unwrap(wrapped) == KEYS
    assert {one.master for one in wrapped} == {having(OLD).newest}
    assert all(KEYS[one.subject] not in one.key for one in wrapped)


def test_the_first_secret_wraps_and_all_of_them_unwrap() -> None:
    both = having(NEW, OLD)
    assert both.unwrap(having(OLD).wrap(KEYS)) == KEYS
    assert having(NEW).unwrap(both.wrap(KEYS)) == KEYS
    assert both.newest == having(NEW).newest != having(OLD).newest


def test_a_key_wrapped_by_an_unknown_secret_is_refused_by_its_name() -> None:
    with pytest.raises(WrongMasterKey, match=having(OLD).newest):
        having(NEW).unwrap(having(OLD).wrap(KEYS))


def test_a_key_is_good_for_its_subject_alone() -> None:
    alices, _ = having(OLD).wrap(KEYS)
    with pytest.raises(WrongMasterKey):
        having(OLD).unwrap([Wrapped(BOB, alices.master, alices.key)])


def test_a_secret_that_comes_up_while_the_process_runs_is_read() -> None:
    secrets = [OLD]
    running = LocalMasterKeys(lambda: secrets)
    secrets.insert(0, NEW)
    assert running.unwrap(having(NEW).wrap(KEYS)) == KEYS
    assert running.newest == having(NEW).newest
