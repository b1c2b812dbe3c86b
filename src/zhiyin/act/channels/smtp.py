"""E-mail by SMTP (RFC 5321): one connection, kept; every failure told apart by what it means."""

from __future__ import annotations

import re
import smtplib
import ssl
from ipaddress import ip_address
from pathlib import Path

from zhiyin.act.channels.dkim import DkimSigner, open_dkim
from zhiyin.act.create.message import ascii_address
from zhiyin.core.config import ActSettings, smtp_password
from zhiyin.core.errors import ChannelUnavailable, ConfigError, DeliveryError

IMPLICIT_TLS_PORT = 465
_DONE, _FORWARDED, _GO_ON, _CLOSING = 250, 251, 354, 421  # RFC 5321, 4.2.3
_NOBODY = re.compile(rb"5\.1\.(1|2|6|10)\b")  # RFC 3463 and 7505: no such mailbox, host, mail
_GOOD = ((_DONE,), (_DONE, _FORWARDED), (_GO_ON,))
_ADDRESS = re.compile(r"\S+@\S+")


class SmtpChannel:
    """Hands e-mails to an SMTP server. SMTP can neither look a message up nor tell a repeat.

    Parameters
    ----------
    sender
        The envelope's sender, where bounces go.
    bounces
        Where bounces go instead, as `NAME+MESSAGE@DOMAIN`, so that the address a report comes to
        names its message; empty: to the sender.
    user, password
        Login; empty: none. Never sent over an open line, except to this machine.
    timeout_s
        How long any answer may take.
    signer
        Signs every e-mail; None: they go as they are.
    """

    name = "smtp"
    supports: frozenset[str] = frozenset()

    def __init__(
        self,
        host: str,
        port: int,
        *,
        sender: str,
        user: str = "",
        password: str = "",
        timeout_s: float = 30.0,
        signer: DkimSigner | None = None,
        bounces: str = "",
    ) -> None:
        self._host, self._port = host, port
        self._sender = ascii_address(sender)
        self._bounces = ascii_address(bounces) if bounces else ""
        self._login = (user, password)
        self._timeout_s = timeout_s
        self._signer = signer
        self._smtp: smtplib.SMTP | None = None

    def send(self, message_id: str, recipient: str, content: bytes) -> str:
        """Hand one e-mail over; the server's last answer, without addresses.

        Raises
        ------
        InvalidParameter
            If the recipient is no e-mail address.
        DeliveryError
            `retryable` where the server surely does not have it and may take it later,
            `in_doubt` where the line broke after the content had begun, otherwise refused.
        """
        address = ascii_address(recipient)
        if self._signer is not None:
            content = self._signer.sign(content)
        smtp = self._begin(self._envelope_sender(message_id), address)
        try:
            code, answer = _give(smtp, content)
        except (OSError, smtplib.SMTPException) as error:
            self._drop()
            raise DeliveryError(
                f"the SMTP server {self._host} did not confirm message {message_id}",
                hint=f"the line broke ({type(error).__name__}); it may have been delivered",
                in_doubt=True,
            ) from None
        if code != _DONE:
            raise self._refused(code)
        return _ADDRESS.sub("[address]", answer.decode("utf-8", "replace"))[:200] or "250"

    def lookup(self, message_id: str) -> bool | None:
        """None: SMTP does not say what it delivered."""
        return None

    def close(self) -> None:
        """Say goodbye; safe to call again. A later `send` connects anew."""
        smtp, self._smtp = self._smtp, None
        if smtp is not None:
            try:
                smtp.quit()
            except (OSError, smtplib.SMTPException):
                smtp.close()

    def _begin(self, sender: str, address: str) -> smtplib.SMTP:
        """A connection that has accepted sender and recipient; nothing is handed over yet."""
        if self._smtp is not None:
            try:
                return self._addressed(self._smtp, sender, address)
            except (OSError, smtplib.SMTPException):
                self._drop()  # the server had closed an idle line
        smtp = self._connected()
        try:
            return self._addressed(smtp, sender, address)
        except (OSError, smtplib.SMTPException) as error:
            self._drop()
            raise self._unreachable(error) from None

    def _addressed(self, smtp: smtplib.SMTP, sender: str, address: str) -> smtplib.SMTP:
        """`smtp`, asked for the content; in one go where it takes commands so (RFC 2920)."""
        commands = [f"MAIL FROM:<{sender}>", f"RCPT TO:<{address}>", "DATA"]
        together = smtp.has_extn("pipelining")
        answers: list[tuple[int, bytes]] = []
        if together:
            smtp.send("\r\n".join([*commands, ""]))
        for place, command in enumerate(commands):
            if not together:
                smtp.send(f"{command}\r\n")
            answers.append(smtp.getreply())
            if not together and answers[-1][0] not in _GOOD[place]:
                break
        wrong = next(
            (at for at, (code, _) in enumerate(answers) if code not in _GOOD[at]), None
        )  # fmt: skip
        if wrong is not None:
            if answers[-1][0] == _GO_ON:  # it would take the content of a mail to nobody
                self._drop()
            raise self._refusal(smtp, wrong, *answers[wrong])
        return smtp

    def _refusal(self, smtp: smtplib.SMTP, place: int, code: int, said: bytes) -> DeliveryError:
        """The error of a command that was not taken: the sender, the recipient or `DATA`."""
        if place == 0:
            self._drop()
            return ChannelUnavailable(
                f"the SMTP server {self._host} does not take this sender ({code})",
                hint="look at act.sender_address in zhiyin.toml; messages stay planned",
            )
        if self._smtp is not None:
            smtp.rset()
        return self._refused(code, nobody=place == 1 and _NOBODY.match(said) is not None)

    def _envelope_sender(self, message_id: str) -> str:
        local, _, domain = self._bounces.partition("@")
        return f"{local}+{message_id}@{domain}" if local else self._sender

    def _connected(self) -> smtplib.SMTP:
        if self._smtp is not None:
            return self._smtp
        smtp: smtplib.SMTP | None = None
        try:
            smtp = self._dialled()
            smtp.ehlo()
            if not isinstance(smtp, smtplib.SMTP_SSL) and smtp.has_extn("starttls"):
                smtp.starttls(context=ssl.create_default_context())
                smtp.ehlo()
            self._authenticate(smtp)
        except (OSError, smtplib.SMTPException, DeliveryError) as error:
            if smtp is not None:
                smtp.close()
            if isinstance(error, DeliveryError):
                raise
            raise self._unreachable(error) from None
        self._smtp = smtp
        return smtp

    def _dialled(self) -> smtplib.SMTP:
        place, timeout = (self._host, self._port, "localhost"), self._timeout_s
        if self._port == IMPLICIT_TLS_PORT:
            context = ssl.create_default_context()
            return smtplib.SMTP_SSL(*place, timeout=timeout, context=context)
        return smtplib.SMTP(*place, timeout=timeout)

    def _authenticate(self, smtp: smtplib.SMTP) -> None:
        user, password = self._login
        if not user:
            return
        if not isinstance(smtp.sock, ssl.SSLSocket) and not _is_this_machine(self._host):
            raise ChannelUnavailable(
                f"the SMTP server {self._host} offers no encryption, so the password was not sent",
                hint="use its port for TLS, usually 587 or 465",
            )
        try:
            smtp.login(user, password)
        except smtplib.SMTPAuthenticationError as error:
            raise ChannelUnavailable(
                f"the SMTP server {self._host} refused the login ({error.smtp_code})",
                hint="look at act.smtp_user in zhiyin.toml and at ZHIYIN_SMTP_PASSWORD",
            ) from None

    def _drop(self) -> None:
        smtp, self._smtp = self._smtp, None
        if smtp is not None:
            smtp.close()

    def _refused(self, code: int, *, nobody: bool = False) -> DeliveryError:
        """An answer with a code: 4xx is for now, 5xx for good (RFC 5321, 4.2.1)."""
        later = 400 <= code < 500
        if code == _CLOSING:
            self._drop()
        when = "for now" if later else "for good"
        return DeliveryError(
            f"the SMTP server {self._host} refused a message {when} ({code})", retryable=later,
            no_such_address=nobody and not later,
        )  # fmt: skip

    def _unreachable(self, error: Exception) -> ChannelUnavailable:
        code = getattr(error, "smtp_code", None)
        what = f"{type(error).__name__} {code}" if code else type(error).__name__
        return ChannelUnavailable(
            f"the SMTP server {self._host}:{self._port} cannot be used: {what}",
            hint="look at act.smtp_host and act.smtp_port in zhiyin.toml; messages stay planned",
        )


def open_smtp(settings: ActSettings, *, folder: Path = Path()) -> SmtpChannel:
    """The channel that the settings of the workspace in `folder` describe. It connects with the
    first message.

    Raises
    ------
    ConfigError
        If the server or the sender is missing, or e-mails cannot be signed as they should be.
    """
    if not settings.smtp_host or not settings.sender_address:
        raise ConfigError(
            "no SMTP server or sender is configured",
            hint="set act.smtp_host and act.sender_address in zhiyin.toml",
        )
    return SmtpChannel(
        settings.smtp_host,
        settings.smtp_port,
        sender=settings.sender_address,
        user=settings.smtp_user,
        password=smtp_password() if settings.smtp_user else "",
        signer=open_dkim(settings, folder),
        bounces=settings.bounce_address,
    )


def _give(smtp: smtplib.SMTP, content: bytes) -> tuple[int, bytes]:
    """The content after `DATA`: as `smtp.data`, which takes a regular expression to each line."""
    stuffed = content.replace(b"\r\n.", b"\r\n..")
    dot = b"." if content.startswith(b".") else b""
    end = b".\r\n" if content.endswith(b"\r\n") else b"\r\n.\r\n"
    smtp.send(dot + stuffed + end)
    return smtp.getreply()


def _is_this_machine(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
