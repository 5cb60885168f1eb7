"""The sides of a view: what is read, what a rebuild makes, what was read before, and what was."""

from typing import Literal, get_args

Side = Literal["live", "building", "retired"]

Past = Literal[
    "past_1",
    "past_2",
    "past_3",
    "past_4",
    "past_5",
    "past_6",
    "past_7",
    "past_8",
    "past_9",
    "past_10",
    "past_11",
    "past_12",
]
"""A place for the tables of a view as it was."""

PASTS: dict[int, Past] = dict(enumerate(get_args(Past), 1))

SCHEMAS: dict[Side | Past, str] = {
    "live": "public",
    "building": "building",
    "retired": "retired",
    **{place: place for place in PASTS.values()},
}
"""The schema that the tables of each side are in, under the same names."""
