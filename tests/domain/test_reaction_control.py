"""What operators may decide about reactions, and what the control remembers of it."""

from domain import reaction_control as domain
from domain.reaction_control import ReactionControl, ReactionOperationEnded, ReactionRetryRequested
from tests.domain.given import state_of


def test_a_request_ends_once_and_those_before_it_have_ended() -> None:
    """They are carried out in the order of the log."""
    asked = ReactionRetryRequested("welcome_mail", None, "hope")
    control = state_of(domain.evolve, [asked])
    [ended] = domain.end(control, "welcome_mail", 8, "done", "1 tried again")
    assert ended == ReactionOperationEnded("welcome_mail", 8, "done", "1 tried again")
    control = state_of(domain.evolve, [asked, asked, ended])
    assert control == ReactionControl(decisions=2, ended=8)
    assert domain.end(control, "welcome_mail", 8, "done", "") == []
    assert domain.end(control, "welcome_mail", 7, "done", "") == []
    assert domain.end(control, "welcome_mail", 9, "refused", "") != []
