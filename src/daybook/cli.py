"""The command line `daybook`: what can be typed, and what is printed and returned.

Exit codes: 0 done, 1 something was found wrong or refused, 2 wrong usage or environment.
"""

import asyncio
import logging
import os
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.table import Table

from daybook.command_line.audit_cli import audit
from daybook.command_line.failure_cli import failures
from daybook.command_line.privacy_cli import privacy
from daybook.command_line.projection_cli import projections
from daybook.command_line.reaction_commands import reactions
from daybook.logs import configure_logs
from daybook.printing import UNUSABLE, WRONG, Json, errors, out, print_json, print_result
from daybook.settings import Settings, SettingsError

app = typer.Typer(
    name="daybook",
    help="Accounts, catalogue and orders: commands in, events kept, views out.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
imports = typer.Typer(help="Take over what other systems hold.", no_args_is_help=True)
users = typer.Typer(help="Accounts, from the machine that Daybook runs on.", no_args_is_help=True)
keys = typer.Typer(help="The keys that sign access tokens.", no_args_is_help=True)
app.add_typer(imports, name="import")
app.add_typer(keys, name="keys")
app.add_typer(users, name="users")
app.add_typer(projections, name="projections")
app.add_typer(failures, name="failures")
app.add_typer(audit, name="audit")
app.add_typer(privacy, name="privacy")
app.add_typer(reactions, name="reactions")


def settings() -> Settings:
    """Read the settings from the environment."""
    return Settings.from_environment(os.environ)


@app.command()
def up() -> None:
    """Run everything here until Ctrl-C: Postgres, Valkey, the API and the workers."""
    from daybook.processes.programs import up as run

    run(settings())


@app.command()
def serve(
    side: Annotated[
        str, typer.Option(help="Which side to serve: write (commands), read (views) or all.")
    ] = "all",
) -> None:
    """Run the API server alone."""
    from daybook.processes.programs import FACTORIES
    from daybook.processes.programs import serve as run

    if side not in FACTORIES:
        raise typer.BadParameter(
            f"{side!r} is not one of {', '.join(FACTORIES)}.", param_hint="--side"
        )
    run(settings(), side)


@app.command()
def work() -> None:
    """Run the workers alone."""
    from daybook.processes.programs import work as run

    raise typer.Exit(run(settings()))


@app.command()
def migrate() -> None:
    """Bring the database to this release's schema."""
    from daybook.migrate import migrate as run
    from daybook.services import services

    with services(settings()) as found:
        typer.echo(f"The database is at revision {run(found.database_url)}.")


@app.command()
def demo() -> None:
    """Take a tour over HTTP: register, log in, place, pay and ship an order, read the views."""
    from daybook.command_line.demo import run

    run(settings(), out)


@imports.command("orders")
def import_orders(
    file: Annotated[Path, typer.Argument(help="A CSV file, plain or gzipped.")],
    layout: Annotated[
        str | None,
        typer.Option("--format", help="online-retail or daybook; else told by the first line."),
    ] = None,
    rejects: Annotated[
        Path | None, typer.Option(help="Where refused lines go, with number and reason.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Import orders from a file: each line once, however often it is imported."""
    from daybook.importing.import_orders import run

    show = print_json if as_json else print_result
    run(settings(), file, layout=layout, rejects=rejects, console=errors, show=show)


@users.command("create-admin")
def create_admin(
    email: Annotated[str, typer.Option(prompt="E-mail address")],
    name: Annotated[str, typer.Option(help="The person's name.")] = "Administrator",
) -> None:
    """Create an administrator; the password is asked for, or read from DAYBOOK_ADMIN_PASSWORD."""
    from daybook.first_admin import create_admin as run
    from daybook.keys.privacy import prepare
    from daybook.migrate import migrate as migrated
    from daybook.services import services

    password = os.environ.get("DAYBOOK_ADMIN_PASSWORD") or typer.prompt(
        "Password", hide_input=True, confirmation_prompt=True
    )
    environ = {key: value for key, value in os.environ.items() if "DAYBOOK_ADMIN" not in key}
    given = Settings.from_environment(environ)
    with services(given) as found:
        migrated(found.database_url)
        prepare(given, found)
        receipt = asyncio.run(run(found, email, password, name))
    typer.echo(f"Administrator {email} has the id {receipt.id}.")


@keys.command("list")
def list_keys(as_json: Json = False) -> None:
    """Show which keys sign and verify access tokens: their names, never the secrets."""
    from daybook.keys.signing_keys import described, signing_keys

    show_keys(described(signing_keys(settings())), as_json=as_json)


@keys.command("rotate")
def rotate_keys(as_json: Json = False) -> None:
    """Let a new key sign, without a restart and without signing anybody out; takes 3 seconds."""
    from daybook.command_line.key_rotation import rotate_and_record
    from daybook.keys.signing_keys import described

    show_keys(described(rotate_and_record(settings())), as_json=as_json)


def show_keys(found: list[dict[str, str | None]], *, as_json: bool) -> None:
    """Print what is known of keys."""
    if as_json:
        print_json({"keys": found})
        return
    table = Table("Key", "Use", "Until")
    for one in found:
        table.add_row(one["name"], one["use"], one["until"] or "")
    out.print(table)


def main() -> None:
    """Run the command line; what goes wrong is one clear sentence, never a traceback."""
    configure_logs(logging.WARNING)  # the programs that it starts have their own
    try:
        app()
    except SettingsError as error:
        fail("\n".join(error.problems), UNUSABLE)
    except Exception as error:
        from daybook.troubles import REFUSED, explain

        sentence = explain(error)
        if sentence is None:
            raise
        fail(sentence, WRONG if isinstance(error, REFUSED) else UNUSABLE)


def fail(sentence: str, code: int) -> NoReturn:
    """End the program with a sentence on standard error."""
    sys.stderr.write(f"daybook: {sentence}\n")
    raise SystemExit(code)
