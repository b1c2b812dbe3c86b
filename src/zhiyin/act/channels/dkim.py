"""Signs e-mails with DKIM (RFC 6376, RFC 8463), so that mailbox providers know whose they are.

Header and body are taken `relaxed`. From and Subject are listed once more than they occur: a
second one that somebody adds on the way breaks the signature. `List-Unsubscribe` and
`List-Unsubscribe-Post` are signed, which RFC 8058 asks for.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from zhiyin.core.config import ActSettings
from zhiyin.core.errors import ConfigError

SIGNED = (
    b"from", b"to", b"subject", b"date", b"message-id", b"reply-to", b"list-unsubscribe",
    b"list-unsubscribe-post", b"mime-version", b"content-type", b"content-language",
)  # fmt: skip
ONCE_MORE = (b"from", b"subject")
MIN_BITS = 1024  # RFC 8301: verifiers take no shorter key
_WIDTH = 72
_RUNS = re.compile(rb"  +")

Key = RSAPrivateKey | Ed25519PrivateKey


@dataclass(frozen=True)
class DkimSigner:
    """Signs for one domain with one key, which is read once."""

    domain: str
    selector: str
    _key: Key = field(repr=False)

    def sign(self, content: bytes) -> bytes:
        """`content`, whose lines end in CRLF, with its `DKIM-Signature` in front."""
        head, _, body = content.partition(b"\r\n\r\n")
        digest = base64.b64encode(hashlib.sha256(relaxed_body(body)).digest())
        names, headers = _chosen(head)
        algorithm, sign = self._algorithm
        value = b"v=1; a=%s; c=relaxed/relaxed; d=%s; s=%s;\r\n h=%s;\r\n bh=%s;\r\n b=" % (
            algorithm, self.domain.encode(), self.selector.encode(),
            b":\r\n ".join(b":".join(names[at : at + 6]) for at in range(0, len(names), 6)), digest,
        )  # fmt: skip
        signed = b"%sdkim-signature:%s" % (headers, value.replace(b"\r\n", b""))  # relaxed
        signature = base64.b64encode(sign(signed))
        lines = [signature[at : at + _WIDTH] for at in range(0, len(signature), _WIDTH)]
        return b"DKIM-Signature: %s%s\r\n%s" % (value, b"\r\n ".join(lines), content)

    @cached_property
    def _algorithm(self) -> tuple[bytes, Callable[[bytes], bytes]]:
        key = self._key
        if isinstance(key, RSAPrivateKey):
            padding, algorithm = PKCS1v15(), SHA256()
            return b"rsa-sha256", lambda text: key.sign(text, padding, algorithm)
        return b"ed25519-sha256", lambda text: key.sign(hashlib.sha256(text).digest())

    def dns_record(self) -> tuple[str, str]:
        """Name and text of the TXT record that the domain has to publish."""
        public = self._key.public_key()
        if isinstance(self._key, RSAPrivateKey):
            kind = "rsa"
            raw = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        else:
            kind, raw = "ed25519", public.public_bytes(Encoding.Raw, PublicFormat.Raw)
        text = f"v=DKIM1; k={kind}; p={base64.b64encode(raw).decode()}"
        return f"{self.selector}._domainkey.{self.domain}", text


def open_dkim(settings: ActSettings, folder: Path) -> DkimSigner | None:
    """The signer that the settings describe, its key file found from `folder`; None: no domain set.

    Raises
    ------
    ConfigError
        If the domain is not the sender's, or the key cannot be read, is no RSA or Ed25519 key, or
        can be read by others than its owner.
    """
    domain = settings.dkim_domain
    if not domain:
        return None
    of_sender = settings.sender_address.rpartition("@")[2].lower()
    if of_sender != domain and not of_sender.endswith(f".{domain}"):
        raise ConfigError(
            f"act.dkim_domain {domain!r} is not the domain of act.sender_address",
            hint="mailbox providers ask for the same domain in both",
        )
    return DkimSigner(domain, settings.dkim_selector, _read_key(folder / settings.dkim_key_file))


def relaxed_headers(head: bytes) -> dict[bytes, bytes]:
    """Header → value in the relaxed form of RFC 6376, 3.4.2, of a repeated one the last."""
    found: dict[bytes, bytes] = {}
    unfolded = head.replace(b"\r\n ", b" ").replace(b"\r\n\t", b"\t")
    for line in _one_space(unfolded).split(b"\r\n"):
        name, _, value = line.partition(b":")
        found[name.strip().lower()] = value.strip()
    return found


def relaxed_body(body: bytes) -> bytes:
    """The body in the relaxed form of RFC 6376, 3.4.4."""
    lines = _one_space(body).replace(b" \r\n", b"\r\n").rstrip(b" ")
    while lines.endswith(b"\r\n"):
        lines = lines[:-2]
    return lines + b"\r\n" if lines else b""


def _one_space(text: bytes) -> bytes:
    """One space for every run of spaces and tabs."""
    spaced = text.replace(b"\t", b" ")
    return _RUNS.sub(b" ", spaced) if b"  " in spaced else spaced


def _chosen(head: bytes) -> tuple[list[bytes], bytes]:
    """Names for `h=`, and the relaxed headers that they stand for, of a repeated one the last."""
    found = relaxed_headers(head)
    names = [name for name in SIGNED if name in found]
    headers = b"".join([b"%s:%s\r\n" % (name, found[name]) for name in names])
    return [*names, *ONCE_MORE], headers


def _read_key(path: Path) -> Key:
    try:
        mode, pem = path.stat().st_mode & 0o777, path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"the DKIM key {path.name} cannot be read: {error.strerror}",
            hint="set act.dkim_key_file; make a key: openssl genrsa 2048",
        ) from None
    if mode & 0o077:
        raise ConfigError(
            f"the DKIM key {path.name} has mode {mode:o}: others can read it",
            hint=f"chmod 600 {path}",
        )
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ConfigError(
            f"the DKIM key {path.name} is no private key in PEM without a password",
            hint="make one: openssl genrsa 2048",
        ) from None
    short = isinstance(key, RSAPrivateKey) and key.key_size < MIN_BITS
    if short or not isinstance(key, Key):
        raise ConfigError(
            f"the DKIM key {path.name} is neither RSA of {MIN_BITS} bits or more nor Ed25519",
            hint="make one: openssl genrsa 2048",
        )
    return key
