"""Connections to addresses that somebody typed in: never to this machine or its inner network.

The name is resolved once, every address of it is checked, and the connection is made to a checked
address: a second look-up could answer differently (server-side request forgery).
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

from zhiyin.core.errors import ChannelUnavailable, ConfigError, DeliveryError

MAX_FETCHED = 262_144
_OK = 200
_NAT64 = ip_network("64:ff9b::/96")  # an IPv4 address in its last 32 bits


@dataclass(frozen=True)
class Target:
    """Where requests go. `private`: this machine, inner networks and plain HTTP are allowed.

    `setting` is the one that names the address, for hints.
    """

    scheme: str
    host: str
    port: int
    path: str
    private: bool = False
    setting: str = "act.webhook_url"

    def connect(self, timeout_s: float) -> HTTPConnection:
        """An open connection; no redirect and no proxy is followed.

        Raises
        ------
        ChannelUnavailable
            If nobody answers there, the certificate is not the host's, or the name leads to an
            address that is not public.
        """
        line = self._dialled(timeout_s)
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.scheme == "http":
            opened = HTTPConnection(self.host, self.port, timeout=timeout_s)
        else:
            opened = HTTPSConnection(self.host, self.port, timeout=timeout_s)
            try:
                context = ssl.create_default_context()
                line = context.wrap_socket(line, server_hostname=self.host)
            except OSError as error:
                line.close()
                raise self._unreachable(error) from None
        opened.sock = line
        opened.auto_open = 0  # it would resolve the name again
        return opened

    def _dialled(self, timeout_s: float) -> socket.socket:
        try:
            found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise self._unreachable(error) from None
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        if not self.private and not all(map(is_public, addresses)):
            raise ChannelUnavailable(
                f"{self.host} leads to an address that is not public",
                hint="only with act.webhook_private may it be in your own network",
            )
        failed = OSError("no address")
        for address in addresses:
            try:
                return socket.create_connection((address, self.port), timeout=timeout_s)
            except OSError as error:
                failed = error
        raise self._unreachable(failed)

    def _unreachable(self, error: OSError) -> ChannelUnavailable:
        return ChannelUnavailable(
            f"{self.host}:{self.port} cannot be reached: {type(error).__name__}",
            hint=f"look at {self.setting} in zhiyin.toml; messages stay planned",
        )


@dataclass(frozen=True)
class Answer:
    """What a provider said."""

    status: int
    body: bytes = field(repr=False)


def post_once(
    target: Target, path: str, headers: Mapping[str, str], body: bytes, *, timeout_s: float,
    what: str, method: str = "POST",
) -> Answer:  # fmt: skip
    """The answer to one POST, or another method, on a connection of its own.

    Raises
    ------
    ChannelUnavailable
        If nobody can be reached: nothing was handed over.
    DeliveryError
        `in_doubt` where the line broke after the request was begun.
    """
    line = target.connect(timeout_s)
    try:
        line.request(method, path, body, dict(headers))
        answer = line.getresponse()
        return Answer(answer.status, answer.read(MAX_FETCHED))
    except (OSError, HTTPException) as error:
        raise DeliveryError(
            f"{target.host} did not confirm {what}",
            hint=f"the line broke ({type(error).__name__}); it may have arrived",
            in_doubt=True,
        ) from None
    finally:
        line.close()


def fetch_public(url: str, *, timeout_s: float = 10.0) -> bytes:
    """What an https address of the public network answers to a GET, up to `MAX_FETCHED` bytes.

    Raises
    ------
    ChannelUnavailable
        If nobody answers there, or not with a page.
    """
    target = read_target(url, setting="the address")
    line = target.connect(timeout_s)
    try:
        line.request("GET", target.path)
        answer = line.getresponse()
        content = answer.read(MAX_FETCHED)
    except (OSError, HTTPException) as error:
        raise ChannelUnavailable(f"{target.host} does not answer: {type(error).__name__}") from None
    finally:
        line.close()
    if answer.status != _OK:
        raise ChannelUnavailable(f"{target.host} answers {answer.status}")
    return content


def read_target(url: str, *, private: bool = False, setting: str = "act.webhook_url") -> Target:
    """The target of an https address; http only where it may be `private`.

    Raises
    ------
    ConfigError
        If it is none, or holds a user or password.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or {"https": 443, "http": 80}.get(parts.scheme, 0)
    except ValueError:
        raise ConfigError(f"{setting} is no web address", hint=_HINT) from None
    host = parts.hostname or ""
    if parts.scheme not in ({"https", "http"} if private else {"https"}) or not host:
        raise ConfigError(f"{setting} is no https address", hint=_HINT)
    if parts.username is not None or not url.isascii() or any(mark <= " " for mark in url):
        raise ConfigError(f"{setting} holds a login, a space or other letters", hint=_HINT)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme, host, port, path, private, setting)


_HINT = "for example https://hooks.shop.example/zhiyin"


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public network, also where it holds another in it."""
    try:
        one = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    return all(part.is_global and not part.is_multicast for part in (one, *_embedded(one)))


def _embedded(one: IPv4Address | IPv6Address) -> list[IPv4Address]:
    """IPv4 addresses that an IPv6 address stands for."""
    if isinstance(one, IPv4Address):
        return []
    through = [IPv4Address(int(one) & 0xFFFFFFFF)] if one in _NAT64 else []
    return through + [held for held in (one.ipv4_mapped, one.sixtofour) if held is not None]
