"""`daybook privacy`: what can be typed about personal data and its keys."""

import os

import msgspec
import typer

from daybook.printing import Json, print_json, print_result
from daybook.settings import Settings

privacy = typer.Typer(help="Personal data and the keys it is under.", no_args_is_help=True)


def settings() -> Settings:
    """Read the settings from the environment."""
    return Settings.from_environment(os.environ)


@privacy.command("status")
def status(as_json: Json = False) -> None:
    """Show how many people have a key, under which master keys, and how many are forgotten."""
    from daybook.command_line.master_rotation import status as found_status

    stands = found_status(settings())
    if as_json:
        print_json(msgspec.to_builtins(stands))
        return
    print_result(
        {
            "newest master key": stands.newest_master_key,
            **{f"keys under {name}": count for name, count in stands.keys.items()},
            "people forgotten": stands.forgotten,
        }
    )
    if stands.plain_events:
        typer.echo(
            f"{stands.plain_events:,} events were stored before personal fields were encrypted:"
            " what they say of people stays readable after they are forgotten."
        )


@privacy.command("rotate-master")
def rotate_master(as_json: Json = False) -> None:
    """Wrap all keys by the newest master key; the data itself stays as it is."""
    from daybook.command_line.master_rotation import rotate

    done, newest = rotate(settings())
    if as_json:
        print_json({"keysWrapped": done, "masterKey": newest})
    else:
        print_result({"keys wrapped anew": done, "newest master key": newest})
