"""The sides of a view: what is read, what a rebuild makes, what was read before, and what was."""

from typing import Literal

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

SCHEMAS: dict[Side | Past, str] = {
    "live": "public",
    "building": "building",
    "retired": "retired",
    "past_1": "past_1",
    "past_2": "past_2",
    "past_3": "past_3",
    "past_4": "past_4",
    "past_5": "past_5",
    "past_6": "past_6",
    "past_7": "past_7",
    "past_8": "past_8",
    "past_9": "past_9",
    "past_10": "past_10",
    "past_11": "past_11",
    "past_12": "past_12",
}
"""The schema that the tables of each side are in, under the same names."""

PASTS: dict[int, Past] = {
    1: "past_1",
    2: "past_2",
    3: "past_3",
    4: "past_4",
    5: "past_5",
    6: "past_6",
    7: "past_7",
    8: "past_8",
    9: "past_9",
    10: "past_10",
    11: "past_11",
    12: "past_12",
}
