"""The demonstration's mailbox: a real SMTP server on this machine that keeps each e-mail as a file.

It listens on the loopback interface only and relays nothing, so whatever is sent to it stays in
the workspace's `outbox/`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import socket
import threading
from collections.abc import Iterable
from email.parser import BytesHeaderParser
from pathlib import Path
from typing import Self

from aiosmtpd.smtp import SMTP, Envelope, Session

from zhiyin.act.channels.smtp import SmtpChannel
from zhiyin.act.create.message import MESSAGE_ID_HEADER
from zhiyin.core.errors import DeliveryError

HOST = "127.0.0.1"
SUFFIX, JSON = ".eml", ".json"
START_S = 10.0
_MESSAGE_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_MAX_BYTES = 10_000_000


class Keeper:
    """Writes each e-mail to `<message id>.eml` and answers 250 only when it is on the disk.

    A message that is there already is answered the same and not written again.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802  # aiosmtpd's name
        """Called by aiosmtpd with a whole message; the answer to the client."""
        content = envelope.original_content or b""
        head = content.partition(b"\r\n\r\n")[0]  # the body is not worth parsing
        message_id = str(BytesHeaderParser().parsebytes(head).get(MESSAGE_ID_HEADER, ""))
        if not _MESSAGE_ID.fullmatch(message_id):
            return f"550 5.6.0 no {MESSAGE_ID_HEADER}: the sink keeps Zhiyin's messages only"
        try:
            keep(self._folder, message_id, content)
        except OSError as error:
            return f"452 4.3.1 not kept: {error.strerror}"
        return f"250 2.0.0 kept as {message_id}{SUFFIX}"


def keep(folder: Path, message_id: str, content: bytes, *, suffix: str = SUFFIX) -> None:
    """Write the file durably: all of it or nothing, once."""
    path = folder / f"{message_id}{suffix}"
    if path.exists():
        return
    draft = folder / f".{message_id}.{os.getpid()}.{threading.get_ident()}"
    try:
        with draft.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove_kept(folder: Path, message_ids: Iterable[str]) -> int:
    """Delete the files of some messages, because their recipient is erased; how many there were."""
    found = [
        path
        for one in message_ids
        for suffix in (SUFFIX, JSON)
        if (path := folder / f"{one}{suffix}").is_file()
    ]
    for path in found:
        path.unlink()
    return len(found)


class SinkServer:
    """The server, in a thread of its own; `port` is chosen by the system. Use it in a `with`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        logging.getLogger("mail.log").setLevel(logging.ERROR)  # aiosmtpd's: it logs whole e-mails
        self._keeper = Keeper(folder)
        self._socket = socket.create_server((HOST, 0))
        self.port: int = self._socket.getsockname()[1]
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="zhiyin-sink", daemon=True)
        self._thread.start()
        if not self._ready.wait(START_S):
            raise DeliveryError("the demonstration's mail sink did not start")

    def close(self) -> None:
        """Stop listening and close open connections; safe to call again."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(
            self._loop.create_server(self._protocol, sock=self._socket)
        )
        self._ready.set()
        self._loop.run_forever()
        server.close()
        pending = asyncio.all_tasks(self._loop)
        for task in pending:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*pending, return_exceptions=True))
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())

    def _protocol(self) -> SMTP:
        return SMTP(self._keeper, hostname="localhost", data_size_limit=_MAX_BYTES, loop=self._loop)


class SinkChannel:
    """Hands e-mails to a sink by SMTP, and can tell which it has.

    Parameters
    ----------
    folder
        Where the sink keeps them.
    port
        Port of a sink that runs already; None: one is started, and stopped by `close`.
    """

    name = "sink"
    supports = frozenset({"lookup", "idempotency"})

    def __init__(self, folder: Path, *, sender: str, port: int | None = None) -> None:
        self._folder = folder
        self._server = SinkServer(folder) if port is None else None
        used = self._server.port if self._server is not None else port or 0
        self._smtp = SmtpChannel(HOST, used, sender=sender)

    def send(self, message_id: str, recipient: str, content: bytes) -> str:
        """Hand one e-mail over; see `SmtpChannel.send`."""
        return self._smtp.send(message_id, recipient, content)

    def lookup(self, message_id: str) -> bool | None:
        """Whether the sink has the message."""
        return (self._folder / f"{message_id}{SUFFIX}").is_file()

    def close(self) -> None:
        """Give back the connection and stop the sink that was started for it."""
        self._smtp.close()
        if self._server is not None:
            self._server.close()


class FileSink:
    """Keeps messages that are no e-mails as files in the demonstration's `outbox/`, and reaches
    nobody; what comes again is kept once.
    """

    name = "file_sink"
    supports = frozenset({"lookup", "idempotency"})

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def send(self, message_id: str, recipient: str, content: bytes) -> str:
        """Keep one message: a text's parts as JSON, an e-mail as it is.

        Raises
        ------
        DeliveryError
            If the recipient is none; `retryable` where the disk does not take it.
        """
        if not recipient or any(mark.isspace() for mark in recipient):
            raise DeliveryError("a recipient is malformed")
        try:
            keep(self._folder, message_id, content, suffix=_suffix_of(content))
        except OSError as error:
            raise DeliveryError(f"not kept: {error.strerror}", retryable=True) from error
        return "kept"

    def lookup(self, message_id: str) -> bool | None:
        """Whether it has the message."""
        return any((self._folder / f"{message_id}{one}").is_file() for one in (SUFFIX, JSON))

    def close(self) -> None:
        """Nothing to give back."""


def _suffix_of(content: bytes) -> str:
    return JSON if content.startswith(b"{") else SUFFIX
