"""The command line `daybook audit`: questions over the log's history, and the proof of it."""

import typer

from daybook.command_line.audit_proof_cli import proving
from daybook.command_line.audit_question_cli import asking

audit = typer.Typer(help="The log's history and the proof of it.", no_args_is_help=True)
audit.add_typer(asking)
audit.add_typer(proving)


@audit.callback()
def about() -> None:
    """Say who did what, and prove that nothing was altered."""
