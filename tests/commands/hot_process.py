"""A process of its own whose clients all change one product: prints what they were answered."""

import asyncio
import json
import sys
import time
from collections import Counter
from uuid import UUID

import msgspec

from commands.execution import TooMuchContention, execute
from commands.products.adjust_stock import AdjustStock, StockLeft, adjust_stock
from commands.work import Work
from tests.commands.given import STAFF, working_on


async def main(database_url: str, product_id: UUID, clients: int, seconds: float) -> None:
    """Let some clients count one piece in again and again, and say how it went."""
    answers: Counter[str] = Counter(refused=0)
    attempts: Counter[object] = Counter()

    async def counted(work: Work, request: AdjustStock) -> StockLeft:
        attempts[work.asker.request_id] += 1
        return await adjust_stock(work, request)

    async with working_on(database_url) as tools:
        request = AdjustStock(product_id=product_id, quantity=1, reason="found")
        ends = time.monotonic() + seconds

        async def client(number: int) -> None:
            while time.monotonic() < ends:
                asker = msgspec.structs.replace(STAFF, request_id=f"{number} {time.monotonic()}")
                try:
                    await execute(tools, asker, counted, request)
                    answers["done"] += 1
                except TooMuchContention:
                    answers["refused"] += 1

        await asyncio.gather(*(client(number) for number in range(clients)))
    sys.stdout.write(json.dumps({**answers, "most attempts": max(attempts.values())}) + "\n")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], UUID(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])))
