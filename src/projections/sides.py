"""The sides of a view: what is read, what a rebuild makes, and what was read before that."""

from typing import Literal

Side = Literal["live", "building", "retired"]

SCHEMAS: dict[Side, str] = {"live": "public", "building": "building", "retired": "retired"}
"""The schema that the tables of each side are in, under the same names."""
