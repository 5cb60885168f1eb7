"""Every refusal says something to a person and has a code for a program."""

from domain import administrators, order, product, session, user
from domain.refusal import InvalidState, Refusal

PAGES = (administrators, order, product, session, user)


def kinds(parent: type[Refusal]) -> list[type[Refusal]]:
    """Return all kinds of a refusal that the domain knows."""
    children = [kind for kind in parent.__subclasses__() if kind.__module__.startswith("domain.")]
    return [kind for child in children for kind in (child, *kinds(child))]


def test_every_refusal_has_a_code_and_a_sentence() -> None:
    named = [kind for kind in kinds(Refusal) if kind is not InvalidState]
    assert {kind.__module__ for kind in named} >= {page.__name__ for page in PAGES}
    for kind in named:
        refusal = kind()
        assert refusal.code == refusal.code.upper()
        assert refusal.message.endswith(".")
        assert str(refusal) == refusal.message


def test_a_refusal_may_say_more_than_its_kind() -> None:
    assert str(product.OutOfStock("Only 3 are left.")) == "Only 3 are left."
