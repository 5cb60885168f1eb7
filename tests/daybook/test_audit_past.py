"""What `daybook audit as-of` shows is what the API answers: lists and things as they were."""

import json

from tests.daybook.conftest import Typed
from tests.projections.given import ALICE, STORY, append, many_orders


def test_lists_and_things_are_shown_as_they_were(database_url: str, typed: Typed) -> None:
    append(database_url, [STORY[0], *many_orders(5)])
    key = str(many_orders(1)[0][0])
    told = typed("audit", "as-of", "orders", "status=placed", "limit=2", "--at", "4", "--json")
    assert told.returncode == 0, told
    found = json.loads(told.stdout)
    assert (found["position"], found["total"], len(found["rows"])) == (4, 3, 2)
    one = typed("audit", "as-of", "orders", "--at", "2", "--id", key, "--json")
    assert json.loads(one.stdout)["rows"][0]["userId"] == str(ALICE), one
    assert "1 of 1" in typed("audit", "as-of", "sales-by-customer", "--at", "4").stdout
    shown = typed("audit", "as-of", "orders", "--at", "4").stdout  # on the narrowest of screens
    assert str(ALICE) in shown, shown
    assert "nothing was there" in typed("audit", "as-of", "orders", "--at", "1").stdout
    told = typed("audit", "accesses", "--action", "list_as_of", "--json")
    assert json.loads(told.stdout)["accesses"][-1]["asked"].items() >= {
        ("asOf", "4"),
        ("status", "placed"),
    }
    for words, said in (
        (["orders", "--at", "7"], "The log ends at position 6"),
        (["orders", "--at", "2", "--id", str(ALICE)], "There was no"),
        (["orders", "status=lost", "--at", "2"], "status"),
        (["users", "email=a", "--at", "2"], "sealed"),
        (["orders"], "Say as of when: by --at"),
    ):
        told = typed("audit", "as-of", *words)
        assert (told.returncode, said in told.stderr) == (2, True), (words, told)
