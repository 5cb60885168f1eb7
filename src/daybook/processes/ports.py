"""The port that the API is to listen on: whether it can."""

import errno
import socket

from daybook.processes.supervisor import ServiceError


def check_port(host: str, port: int) -> None:
    """Raise ServiceError unless a server can listen there."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise ServiceError(_port_refusal(host, port, error)) from error


def _port_refusal(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        other = port + 1 if port < 65535 else port - 1  # noqa: PLR2004 - the highest port
        return (
            f"Port {port} on {host} is taken by another program: stop it, or choose another port"
            f" (DAYBOOK_PORT={other})."
        )
    if error.errno == errno.EACCES:
        return f"Port {port} is reserved for root: choose one above 1023 (DAYBOOK_PORT=8000)."
    return (
        f"{host} is no address of this machine: set DAYBOOK_HOST (127.0.0.1, or 0.0.0.0 for all)."
    )
