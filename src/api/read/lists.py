"""What a list is asked for, strictly read: page, order, fields and filters; the rest is refused."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from api.errors import MalformedRequest
from api.read import moments
from api.read.values import Value, choice, some_of, whole
from api.request import ApiRequest
from domain.refusal import Detail
from projections import listing
from projections.pasts.lists import Moment

LARGEST_PAGE = 100
DEEPEST_ROW = 10_000  # ASVS 2.4.1: whoever wants more follows version 2's cursors


class AskedOfAny(msgspec.Struct, frozen=True, kw_only=True):
    """What a client asks of any list; `fields` None: all of them."""

    filters: dict[str, Any]
    sort_by: str
    descending: bool
    limit: int
    fields: tuple[str, ...] | None


class Asked(AskedOfAny, frozen=True, kw_only=True):
    """What a client asks of a list in pages."""

    page: int
    moment: Moment | None = None

    @property
    def wanted(self) -> listing.Request:
        """The same for the view."""
        return listing.Request(
            filters=self.filters,
            sort_by=self.sort_by,
            descending=self.descending,
            limit=self.limit,
            offset=(self.page - 1) * self.limit,
        )


class ListQuery:
    """The query parameters of a list and how to read them."""

    def __init__(
        self,
        shown: listing.Listing,
        view: type[msgspec.Struct],
        filters: Mapping[str, Value],
    ) -> None:
        """Take a listing, the view that shows its rows, and a value for each of its filters."""
        self.listing = shown
        self.values: dict[str, Value] = {
            "page": whole("Which page, from 1.", 1, DEEPEST_ROW, 1),
            **values_of_any(shown, view, filters),
            **moments.VALUES,
        }

    def read(self, given: Mapping[str, str]) -> Asked:
        """Return what is asked; `MalformedRequest` names the parameters at fault."""
        found = read_values(self.values, given)
        asked = Asked(
            page=found.get("page", 1),
            moment=moments.moment_in(found),
            **asked_of_any(self.listing, found),
        )
        if asked.page * asked.limit > DEEPEST_ROW:
            message = f"Pages reach to row {DEEPEST_ROW}: go on with the cursors of /api/v2."
            raise MalformedRequest(None, Detail("page", message, asked.page))
        return asked


def values_of_any(
    shown: listing.Listing, view: type[msgspec.Struct], filters: Mapping[str, Value]
) -> dict[str, Value]:
    """Return the parameters that every list has, and its filters; each of them must have one."""
    order = "desc" if shown.default_descending else "asc"
    return {
        "limit": whole("How many entries to answer with.", 1, LARGEST_PAGE, listing.USUAL_LIMIT),
        "sortBy": choice("What to sort by.", shown.sorts, shown.default_sort),
        "sortOrder": choice("Which end comes first.", ("asc", "desc"), order),
        "fields": fields_value(view),
        **{name: filters[name] for name in shown.filters},
    }


def asked_of_any(shown: listing.Listing, found: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is asked of any list, by the fields of `AskedOfAny`."""
    order = found.get("sortOrder")
    return {
        "filters": {name: found[name] for name in shown.filters if name in found},
        "sort_by": found.get("sortBy", shown.default_sort),
        "descending": shown.default_descending if order is None else order == "desc",
        "limit": found.get("limit", listing.USUAL_LIMIT),
        "fields": found.get("fields"),
    }


def fields_value(view: type[msgspec.Struct]) -> Value:
    """Return the parameter that chooses fields of a view."""
    names = [field.encode_name for field in msgspec.structs.fields(view)]
    return some_of("Only these fields, a comma list.", names)


def given_in(request: ApiRequest) -> dict[str, str]:
    """Return the query parameters as text; that each is known and comes once is checked before."""
    query = request.scope["query_string"]
    if not query:
        return {}
    try:
        return dict(parse_qsl(query.decode(), keep_blank_values=True, errors="strict"))
    except UnicodeDecodeError:
        raise MalformedRequest("The query is not UTF-8.") from None


def read_values(values: Mapping[str, Value], given: Mapping[str, str]) -> dict[str, Any]:
    """Return the parameters as values; `MalformedRequest` lists all that are not acceptable."""
    found: dict[str, Any] = {}
    wrong: list[Detail] = []
    for name, text in given.items():
        try:
            found[name] = values[name].read(text)
        except ValueError:
            wrong.append(Detail(name, f"This must be {values[name].accepted}.", text))
    if wrong:
        raise MalformedRequest(None, *wrong)
    return found
