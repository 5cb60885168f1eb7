"""A planted fault: our append function without its lock, in the run's own database only.

Positions come from a sequence then, a block for each call, as in most event stores on Postgres.
"""

import psycopg

from daybook.migrate import migrations

WITHOUT = (
    ("from public.log_head h for update;", "from public.log_head h;"),
    ("head := before;", "before := nextval('public.oracle_blocks');\n    head := before;"),
    (
        "update public.log_head set position = head",
        "update public.log_head set position = greatest(position, head)",
    ),
)


def prepare(database_url: str) -> None:
    """Put the faulty function in the place of ours."""
    text = (migrations() / "sql" / "append_events.sql").read_text()
    for found, put in WITHOUT:
        assert text.count(found) == 1, found
        text = text.replace(found, put)
    with psycopg.connect(database_url) as connection:
        connection.execute("create sequence oracle_blocks increment by 10000")
        connection.execute(text.encode())
