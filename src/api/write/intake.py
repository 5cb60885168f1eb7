"""Taking commands over HTTP: who asks, for which version, under which key."""

import re
from typing import TypeVar

import msgspec

from api.addresses import network_of
from api.errors import MalformedRequest
from api.request import ApiRequest
from api.write.idempotency import HEADER, Memory, anonymous_caller
from commands.execution import Execute, Handler, execute
from commands.receipts import Answer, Receipt
from commands.work import Asker, IfMatch, Tools
from event_store.sign_ins import Origin

NOBODY = "anonymous"
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
VERSION = re.compile(r'"(0|[1-9][0-9]{0,8})"')

Command = TypeVar("Command", bound=msgspec.Struct)


class Intake(msgspec.Struct, frozen=True):
    """Takes the commands of a process; a repetition under a key gets the first answer.

    `execute` is what carries them out.
    """

    tools: Tools
    memory: Memory
    execute: Execute = execute

    async def take(
        self, request: ApiRequest, handler: Handler[Command, Answer], command: Command
    ) -> Receipt[Answer]:
        """Carry out a command; raises as `commands.execution.execute` does."""
        asker = asker_of(request)
        if HEADER in request.context.headers:
            caller = str(asker.user_id) if asker.user_id else anonymous_caller(request)
            key = self.memory.key_of(request, await request.body(), caller)
            asker = msgspec.structs.replace(asker, key=key)
        return await self.execute(self.tools, asker, handler, command)

    async def take_secretly(
        self, request: ApiRequest, handler: Handler[Command, Answer], command: Command
    ) -> Receipt[Answer]:
        """Carry out a command whose answer is a secret: it is never stored, whatever the key.

        Nor is `If-Match` looked at: a session is shown nowhere, so nobody has a version of it.
        """
        asker = msgspec.structs.replace(asker_of(request), if_match=None)
        return await self.execute(self.tools, asker, handler, command)


def asker_of(request: ApiRequest) -> Asker:
    """Return who asks, for the audit columns and the rules of commands."""
    context = request.context
    caller = context.caller
    return Asker(
        actor_id=str(caller.user_id) if caller else NOBODY,
        role=caller.role if caller else NOBODY,
        request_id=context.request_id,
        correlation_id=context.correlation_id,
        user_id=caller.user_id if caller else None,
        session_id=caller.session_id if caller else None,
        if_match=expected_version(context.headers.get(b"if-match")),
    )


def origin_of(request: ApiRequest) -> Origin:
    """Return where a request comes from, for what is recorded of sign-ins."""
    context = request.context
    agent = context.headers.get(b"user-agent", b"").decode("latin-1")
    return Origin(
        address=context.address,
        network=network_of(context.address),
        agent=CONTROL.sub(" ", agent),
        request_id=context.request_id,
    )


def expected_version(header: bytes | None) -> IfMatch:
    """Return the version that If-Match demands, * for any; None: it demands nothing."""
    if header is None:
        return None
    if header.strip() == b"*":
        return "*"
    match = VERSION.fullmatch(header.decode("latin-1").strip())
    if match is None:
        raise MalformedRequest('If-Match must be one version in quotes, such as "3", or *.')
    return int(match.group(1))
