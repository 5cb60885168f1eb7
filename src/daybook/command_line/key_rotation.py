"""`daybook keys rotate`: another key signs from now on, and that is recorded with the sign-ins."""

import asyncio
import sys

from daybook.command_line.operator_commands import note_operation, operator
from daybook.keys.signing_keys import SigningKey, rotate
from daybook.migrate import migrate
from daybook.services import Services, services
from daybook.settings import Settings
from event_store.sign_ins import Origin, SignIns


def rotate_and_record(settings: Settings) -> list[SigningKey]:
    """Rotate and return all keys. What cannot be recorded is not done."""
    with services(settings) as found:
        migrate(found.database_url)
        asyncio.run(record(found))
        note_operation(found.database_url, "keys_rotated", 0)
        return rotate(settings)


async def record(found: Services) -> None:
    """Record that the operator of this machine rotates the keys."""
    asker = operator()
    records = SignIns(found.database_url, None, size=1)
    await records.open()
    try:
        origin = Origin(
            address="this machine",
            network="this machine",
            agent=f"{asker.actor_id} {sys.argv[0].rpartition('/')[2]} keys rotate",
            request_id=asker.request_id,
        )
        await records.add("keys_rotated", origin)
    finally:
        await records.close()
