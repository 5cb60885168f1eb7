"""Who asks, behind proxies or pretending to be (CVE-2025-59152, ASVS 4.1.3)."""

from typing import Any

import pytest

from api.addresses import Addresses, network_of

PROXIES = Addresses(["10.0.0.0/8", "fd00::/8"])


def scope(peer: str | None, *forwarded: str, proto: str | None = None) -> Any:
    headers = [(b"x-forwarded-for", line.encode()) for line in forwarded]
    headers += [(b"x-forwarded-proto", proto.encode())] if proto else []
    return {"client": (peer, 1) if peer else None, "headers": headers, "scheme": "http"}


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("203.0.113.9", [], "203.0.113.9"),
        ("203.0.113.9", ["198.51.100.1"], "203.0.113.9"),  # whoever says so is no proxy of ours
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["1.1.1.1, 198.51.100.1"], "198.51.100.1"),  # the client wrote the first
        ("10.0.0.1", ["1.1.1.1", "198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["198.51.100.1, 10.0.0.2"], "198.51.100.1"),
        ("10.0.0.1", ["junk"], "10.0.0.1"),
        ("10.0.0.1", ["1.1.1.1, junk"], "10.0.0.1"),
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ("::ffff:10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("fd00::1", ["2001:db8::7"], "2001:db8::7"),
        (None, ["198.51.100.1"], "unknown"),
    ],
)
def test_a_forwarded_address_counts_from_a_listed_proxy_alone(
    peer: str | None, forwarded: list[str], address: str
) -> None:
    assert PROXIES.of(scope(peer, *forwarded)) == address


def test_without_proxies_nobody_is_believed() -> None:
    assert Addresses().of(scope("10.0.0.1", "198.51.100.1")) == "10.0.0.1"
    assert not Addresses().secure(scope("10.0.0.1", proto="https"))


def test_tls_is_known_from_a_listed_proxy_alone() -> None:
    assert PROXIES.secure(scope("10.0.0.1", proto="https"))
    assert not PROXIES.secure(scope("10.0.0.1", proto="http"))
    assert not PROXIES.secure(scope("203.0.113.9", proto="https"))


def test_an_ipv6_network_is_one_who_asks() -> None:
    assert network_of("2001:db8::1") == network_of("2001:db8::2") == "2001:db8::/64"
    assert network_of("2001:db8:0:1::1") != network_of("2001:db8::1")
    assert network_of("198.51.100.1") == network_of("::ffff:198.51.100.1") == "198.51.100.1"
    assert network_of("unknown") == "unknown"
