"""Files of orders: what is read of them, what is refused and why, and where they cannot be read."""

import gzip
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from daybook.importing.order_file import Entry, FileRefused, Rejected, lines_of, opened

RETAIL = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"
DAYBOOK = "invoice,sku,name,quantity,unit_price,placed_at,customer,currency"
LANTERN = "536365,71053,WHITE METAL LANTERN,6,2010-12-01 08:26:00,3.39,17850.0,United Kingdom"
TEA = "A-1,TEA-1,Tea,2,4.20,2024-02-29T23:59:59+01:00,ada,EUR"

CANCELLED, NO_QUANTITY = "invoice cancelled", "quantity not positive"
NO_PRICE, NOBODY, UNREADABLE = "price not positive", "no customer", "unreadable"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where a file may be written."""
    return tmp_path / "orders.csv"


def read(path: Path, content: str | bytes, wanted: str | None = None) -> list[Entry | Rejected]:
    """Read a file with this content."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with opened(path) as (text, _):
        return list(lines_of(text, wanted))


def retail(**changed: str) -> str:
    """Return a line of the retailer's with some cells changed."""
    cells = dict(zip(RETAIL.split(","), LANTERN.split(","), strict=True))
    return ",".join((cells | changed).values())


def judged(path: Path, *lines: str) -> list[str]:
    """Return for each line of a retailer's file what is against it, or `accepted`."""
    found = read(path, "\n".join([RETAIL, *lines]))
    assert [one.line for one in found] == list(range(2, len(lines) + 2))
    return [one.reason if isinstance(one, Rejected) else "accepted" for one in found]


def entries(found: Sequence[Entry | Rejected]) -> list[Entry]:
    """Return the lines, none of which may be refused."""
    assert not [one for one in found if isinstance(one, Rejected)]
    return [one for one in found if isinstance(one, Entry)]


def test_a_retailers_line_is_understood(path: Path) -> None:
    assert read(path, f"{RETAIL}\n{LANTERN}\n") == [
        Entry(
            line=2,
            invoice="536365",
            sku="71053",
            description="WHITE METAL LANTERN",
            quantity=6,
            price=Decimal("3.39"),
            placed_at=datetime(2010, 12, 1, 8, 26, tzinfo=UTC),
            customer="17850",
            currency="GBP",
        )
    ]


def test_a_line_in_daybooks_own_columns_is_understood(path: Path) -> None:
    assert read(path, f"{DAYBOOK}\n{TEA}\n") == [
        Entry(
            line=2,
            invoice="A-1",
            sku="TEA-1",
            description="Tea",
            quantity=2,
            price=Decimal("4.20"),
            placed_at=datetime(2024, 2, 29, 22, 59, 59, tzinfo=UTC),
            customer="ada",
            currency="EUR",
        )
    ]


def test_columns_may_stand_in_any_order_among_others(path: Path) -> None:
    header = "x, currency ,customer,placed_at,unit_price,quantity,name,sku,invoice,y"
    line = "?,EUR, ada ,2024-02-29T22:59:59, 4.20 ,2,Tea, TEA-1 ,A-1,?"
    turned = entries(read(path, f"{header}\n{line}\n"))
    assert turned == entries(read(path, f"{DAYBOOK}\n{TEA}\n"))


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("packed", [False, True])
def test_every_way_to_write_a_text_file_is_read(
    path: Path, line_end: str, mark: bytes, *, packed: bool
) -> None:
    content = mark + line_end.join([RETAIL, LANTERN, LANTERN]).encode()
    found = entries(read(path, gzip.compress(content) if packed else content))
    assert [(one.line, one.invoice) for one in found] == [(2, "536365"), (3, "536365")]


def test_the_bytes_that_are_read_are_told(path: Path) -> None:
    path.write_text("\n".join([RETAIL, *[LANTERN] * 1_000]))
    with opened(path) as (text, tell):
        lines = lines_of(text, None)
        next(lines)
        assert 0 < tell() < path.stat().st_size
        assert len(list(lines)) == 999
        assert tell() == path.stat().st_size
    assert text.closed


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        ("", None),
        ("\n", None),
        (f"{LANTERN}\n", None),
        (f"{RETAIL.replace(',', ';')}\n", None),
        (f"{RETAIL}\n{LANTERN}\n", "daybook"),
        (f"{DAYBOOK.removesuffix(',currency')}\n", "daybook"),
        (RETAIL.encode("utf-16"), None),
        (b"\x00\xff" * 5_000, None),
        ('"' + "x" * 200_000, None),
        (gzip.compress(RETAIL.encode(), mtime=0)[:12], None),
        (b"\x1f\x8b and then no gzip", None),
    ],
)
def test_what_is_no_file_of_orders_is_refused(
    path: Path, content: str | bytes, wanted: str | None
) -> None:
    with pytest.raises(FileRefused, match=r"^This is not a CSV file") as refused:
        read(path, content, wanted)
    assert "\n" not in str(refused.value)


def test_the_refusal_names_the_columns_that_are_needed(path: Path) -> None:
    with pytest.raises(FileRefused, match="InvoiceNo, StockCode, Description") as either:
        read(path, "a,b\n")
    assert "daybook: invoice, sku, name" in str(either.value)
    with pytest.raises(FileRefused) as one:
        read(path, "a,b\n", "daybook")
    assert "InvoiceNo" not in str(one.value)


def test_each_reason_is_told(path: Path) -> None:
    assert judged(
        path,
        retail(),
        retail(InvoiceNo="C536379"),
        retail(InvoiceNo="c536379"),
        retail(Quantity="-6"),
        retail(Quantity="0"),
        retail(UnitPrice="0.0"),
        retail(UnitPrice="-11062.06"),
        retail(CustomerID=""),
        retail(CustomerID="  "),
    ) == ["accepted", *[CANCELLED] * 2, *[NO_QUANTITY] * 2, *[NO_PRICE] * 2, *[NOBODY] * 2]


def test_the_first_reason_is_the_one_that_is_told(path: Path) -> None:
    faults = [
        (CANCELLED, {"InvoiceNo": "C1"}),
        (NO_QUANTITY, {"Quantity": "-1"}),
        (NO_PRICE, {"UnitPrice": "0"}),
        (NOBODY, {"CustomerID": ""}),
        (UNREADABLE, {"InvoiceDate": "yesterday"}),
    ]
    for number, (reason, _) in enumerate(faults):
        changed = {key: value for _, fault in faults[number:] for key, value in fault.items()}
        assert judged(path, retail(**changed)) == [reason]


@pytest.mark.parametrize(
    "changed",
    [
        {"InvoiceNo": ""},
        {"StockCode": ""},
        {"Quantity": ""},
        {"Quantity": "six"},
        {"Quantity": "1.5"},
        {"Quantity": "NaN"},
        {"Quantity": "Infinity"},
        {"Quantity": "9" * 5_000},
        {"Quantity": "-" + "9" * 5_000},
        {"Quantity": "1e999999999"},
        {"Quantity": "1e9999999999999999999"},
        {"Quantity": "1e-999999999"},
        {"UnitPrice": ""},
        {"UnitPrice": "GBP 3"},
        {"UnitPrice": "NaN"},
        {"UnitPrice": "0." + "1" * 5_000},
        {"InvoiceDate": ""},
        {"InvoiceDate": "01/12/2010 08:26"},
        {"InvoiceDate": "2010-02-30 08:26:00"},
        {"InvoiceDate": "0001-01-01T00:00:00+14:00"},
        {"InvoiceDate": "9999-12-31T23:59:59-14:00"},
        {"Description": "A\0B"},
        {"StockCode": "A\x1bB"},
        {"CustomerID": "17\x85850"},
        {"Description": '"two\nlines"'},
        {"Country": "United Kingdom,more"},
    ],
)
def test_what_makes_no_sense_is_unreadable(path: Path, changed: dict[str, str]) -> None:
    found = read(path, "\n".join([RETAIL, retail(), retail(**changed), retail()]))
    assert [type(one) for one in found] == [Entry, Rejected, Entry]
    assert found[1] == Rejected(3, changed.get("InvoiceNo", "536365"), UNREADABLE)


def test_bytes_that_are_not_utf_8_cost_their_line_only(path: Path) -> None:
    broken = [b"536365,71053,CAF\xe9,6,2010-12-01 08:26:00,3.39,17850.0,France"]
    broken += [LANTERN.replace(" 08", "?08").encode().replace(b"?", b"\x80")]
    lines = [RETAIL.encode(), LANTERN.encode(), *broken, LANTERN.encode()]
    found = read(path, b"\n".join(lines))
    assert [type(one) for one in found] == [Entry, Rejected, Rejected, Entry]


def test_letters_of_all_scripts_and_odd_spaces_are_readable(path: Path) -> None:
    description = "Café 50\N{RIGHT SINGLE QUOTATION MARK}S\N{NO-BREAK SPACE}茶 \N{HOT BEVERAGE}"
    [entry] = entries(read(path, "\n".join([RETAIL, retail(Description=description)])))
    assert entry.description == description


def test_a_short_line_has_empty_cells_and_empty_cells_too_many_do_no_harm(path: Path) -> None:
    short = ",".join(LANTERN.split(",")[:6])
    assert judged(path, short, "536365", f"{LANTERN},,", f"{LANTERN},x") == [
        NOBODY,
        NOBODY,
        "accepted",
        UNREADABLE,
    ]


def test_a_thousands_comma_in_the_last_column_is_not_taken_for_an_end(path: Path) -> None:
    """Unquoted it would make 1,234.50 a price of 1."""
    header = "invoice,sku,name,quantity,placed_at,customer,currency,unit_price"
    found = read(path, f"{header}\nA-1,TEA-1,Tea,2,2024-01-01,ada,EUR,1,234.50\n")
    assert found == [Rejected(2, "A-1", UNREADABLE)]


def test_blank_lines_are_none(path: Path) -> None:
    found = entries(read(path, f"{RETAIL}\n\n{LANTERN}\n\n\n{LANTERN}\n\n"))
    assert [one.line for one in found] == [3, 6]


def test_a_line_break_in_quotes_where_nothing_is_read_does_no_harm(path: Path) -> None:
    quoted = retail(Country='"United\nKingdom"', Description='"LANTERN, ""white"""')
    found = entries(read(path, f"{RETAIL}\n{quoted}\n{LANTERN}\n"))
    assert [(one.line, one.description) for one in found] == [
        (2, 'LANTERN, "white"'),
        (4, "WHITE METAL LANTERN"),
    ]


def test_every_line_that_an_open_quote_swallows_is_refused_by_its_number(path: Path) -> None:
    opening = retail(Description='"never closed')
    found = read(path, "\n".join([RETAIL, LANTERN, opening, *[LANTERN] * 3_000]))
    assert [one.line for one in found] == list(range(2, 2 + len(found)))
    refused = [one for one in found if isinstance(one, Rejected)]
    assert refused[0] == Rejected(3, "", UNREADABLE)
    assert len(refused) > 1_000
    assert len(found) == 3_002


@pytest.mark.parametrize(
    ("told", "reference"),
    [
        ("17850.0", "17850"),
        ("17850", "17850"),
        ("017850.00", "017850"),
        ("v1.0", "v1.0"),
        (".0", ".0"),
        ("17850.05", "17850.05"),
        ("Ada Lovelace", "Ada Lovelace"),
    ],
)
def test_a_customers_number_has_no_decimals(path: Path, told: str, reference: str) -> None:
    [entry] = entries(read(path, f"{RETAIL}\n{retail(CustomerID=told)}\n"))
    assert entry.customer == reference


@pytest.mark.parametrize(
    ("told", "hour"),
    [
        ("2010-12-01 08:26:00", "08:26:00"),
        ("2010-12-01T08:26:00Z", "08:26:00"),
        ("2010-12-01T08:26:00+02:00", "06:26:00"),
        ("2010-12-01T08:26:00.5-05:30", "13:56:00.500000"),
        ("2010-12-01T08:26", "08:26:00"),
        ("2010-12-01", "00:00:00"),
    ],
)
def test_times_are_utc_unless_they_say_otherwise(path: Path, told: str, hour: str) -> None:
    [entry] = entries(read(path, f"{RETAIL}\n{retail(InvoiceDate=told)}\n"))
    assert entry.placed_at.isoformat() == f"2010-12-01T{hour}+00:00"


def test_a_line_without_a_name_is_called_by_its_sku(path: Path) -> None:
    [entry] = entries(read(path, f"{RETAIL}\n{retail(Description=' ')}\n"))
    assert entry.description == "71053"


@pytest.mark.parametrize("told", ["6", "6.0", "+6", "6e0"])
def test_a_whole_number_may_be_written_in_several_ways(path: Path, told: str) -> None:
    [entry] = entries(read(path, f"{RETAIL}\n{retail(Quantity=told)}\n"))
    assert (entry.quantity, type(entry.quantity)) == (6, int)


@pytest.mark.parametrize("kept", [0.3, 0.6, 0.9])
@pytest.mark.parametrize("damaged", [False, True])
def test_a_damaged_archive_is_refused_with_the_line_where_it_breaks(
    path: Path, kept: float, *, damaged: bool
) -> None:
    numbered = (
        retail(InvoiceNo=str(number), UnitPrice=f"{number}.1") for number in range(1, 9_000)
    )
    packed = bytearray(gzip.compress("\n".join([RETAIL, *numbered]).encode()))
    end = int(len(packed) * kept)
    if damaged:
        packed[end : end + 64] = b"\xff" * 64
    else:
        del packed[end:]
    with pytest.raises(FileRefused, match=r"ends or breaks at line \d+ .* stays imported"):
        read(path, bytes(packed))
