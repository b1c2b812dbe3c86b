"""What the journal keeps of one tracking request: who sent it, when it came, its body as it came.

The collector writes it before it answers; the compactor reads it. It is the only thing the two
share, so either can be changed alone.
"""

from __future__ import annotations

import msgspec

EVENT, DECISION, OUTCOME = "event", "decision", "outcome"
"""Kinds of frames in the journal."""


class Received(msgspec.Struct, frozen=True, array_like=True, omit_defaults=True):
    """One acknowledged request.

    Its order of fields is its format: new ones go to the end, with a default.
    """

    source: str  # of the write key
    kind: str  # of the source: browser, mobile or server
    user_namespace: str  # id space of its user ids
    call: str  # batch, or track, identify, page, screen, group, alias
    received_us: int  # microseconds since 1970, UTC
    body: bytes  # JSON as it came, after gunzip
    ip: str = ""  # of a browser or an app; empty for servers
    user_agent: str = ""
    refused: tuple[int, ...] = ()  # places in the batch that were too large to be kept whole


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Received)


def pack(received: Received) -> bytes:
    """The bytes that the journal keeps."""
    return _encoder.encode(received)


def unpack(payload: bytes) -> Received:
    """What `pack` was given.

    Raises
    ------
    msgspec.DecodeError
        If the bytes are something else.
    """
    return _decoder.decode(payload)
