"""Lists by cursors: what is asked of one, and a stretch of it with the way to its neighbours."""

from collections.abc import Callable, Mapping

import msgspec

from api.envelope import Answer, CursorPagination, Stretch, meta
from api.read.answers import ViewAnswer, chosen, position_header
from api.read.cursors import Cursors, Place
from api.read.lists import AskedOfAny, asked_of_any, read_values, values_of_any
from api.read.values import Value, cursor
from api.request import ApiRequest
from projections import listing
from projections.projection import Row
from projections.reading.list_sql import place_types
from projections.reading.views import Views


class Asked(AskedOfAny, frozen=True, kw_only=True):
    """What a client asks of a list by cursor; None: its beginning."""

    cursor: str | None


class CursorQuery:
    """The query parameters of a list by cursors and how to read them."""

    def __init__(
        self,
        shown: listing.Listing,
        view: type[msgspec.Struct],
        filters: Mapping[str, Value],
    ) -> None:
        """Take a listing, the view that shows its rows, and a value for each of its filters."""
        self.listing = shown
        self.values: dict[str, Value] = {
            "cursor": cursor("Where to go on: next or prev of a pagination, as it was given."),
            **values_of_any(shown, view, filters),
        }

    def read(self, given: Mapping[str, str]) -> Asked:
        """Return what is asked; `MalformedRequest` names the parameters at fault."""
        found = read_values(self.values, given)
        return Asked(cursor=found.get("cursor"), **asked_of_any(self.listing, found))


async def stretched(  # noqa: PLR0913, PLR0917 - what a list is made of
    request: ApiRequest,
    views: Views,
    cursors: Cursors,
    shown: listing.Listing,
    asked: Asked,
    show: Callable[[Row], msgspec.Struct],
) -> ViewAnswer:
    """Answer with a stretch of a list; its filters are those that the caller may use."""
    part, pagination = await stretch_of(views, cursors, shown, asked)
    body = Stretch(
        data=[chosen(show(row), asked.fields) for row in part.rows],
        pagination=pagination,
        meta=meta(request.context.request_id),
    )
    return Answer(body, headers=[position_header(part.position)])


async def stretch_of(
    views: Views, cursors: Cursors, shown: listing.Listing, asked: Asked
) -> tuple[listing.Part, CursorPagination]:
    """Return a stretch of a list and the cursors of its neighbours; `MalformedRequest`."""
    listed = name_of(shown, asked)
    kinds = place_types(shown, asked.sort_by)
    place = None if asked.cursor is None else cursors.open(listed, asked.cursor, kinds)
    backwards = place is not None and place.backwards
    wanted = listing.Stretch(
        filters=asked.filters,
        sort_by=asked.sort_by,
        descending=asked.descending,
        limit=asked.limit,
        place=place.values if place else None,
        backwards=backwards,
    )
    part = await views.stretch(shown, wanted)

    def sealed(row: Row, *, towards_start: bool) -> str:
        values = listing.place_of(shown, asked.sort_by, row)
        return cursors.seal(listed, Place(values, towards_start))

    # Where one has come from there is something, or was.
    after, before = (True, part.more) if backwards else (part.more, place is not None)
    following = sealed(part.rows[-1], towards_start=False) if after and part.rows else None
    preceding = sealed(part.rows[0], towards_start=True) if before and part.rows else None
    return part, CursorPagination(following, preceding, asked.limit)


def name_of(shown: listing.Listing, asked: AskedOfAny) -> bytes:
    """Return what a cursor holds for: the list, the filters in effect and the order."""
    filters = sorted(asked.filters.items())
    return msgspec.json.encode([shown.projection.name, filters, asked.sort_by, asked.descending])
