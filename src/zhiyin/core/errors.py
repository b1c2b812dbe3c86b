"""Every error Zhiyin raises on purpose.

ZhiyinError
├── ConfigError            zhiyin.toml or a ZHIYIN_* variable is wrong
├── WorkspaceError         no workspace here, or one that this version cannot open
│   └── SchemaTooNew       the lake was written by a newer Zhiyin
├── InvalidParameter       an argument is outside its documented range (also a ValueError)
│   └── InvalidRule        a rule of an audience cannot be read, or names what does not exist
├── InputError             a file or a mapping cannot be read (bad *rows* go to quarantine instead)
├── WrongPropensities      a decision log says wrongly how likely its actions were
├── NotFound               no such table, customer, campaign, job (also a LookupError)
├── NotEnoughData          too little data for an answer; says what is missing
├── MissingExtra           an optional part is not installed
├── PermissionDenied       the role does not hold the permission
│   └── NotAuthenticated   no API key, or one that is unknown or revoked
├── TooLarge               a request is larger than it may be
├── LeaseHeld              another process holds the lake
├── KeyDestroyed           the party was erased: its data key is gone
├── ConcurrentWrite        another writer committed first; run again
├── JournalError           the journal cannot be written, or a segment of it cannot be read
├── Busy                   too much is under way; the same request may be sent again later
│   ├── TooFast            a source sends more than its key allows
│   └── DiskFull           there is no room to write; nothing was changed
└── DeliveryError          a channel could not hand a message over
    └── ChannelUnavailable the channel itself cannot be used now; nothing was handed over
"""

from __future__ import annotations

import errno


class ZhiyinError(Exception):
    """Root of all errors: a stable `code`, a sentence with the offending value, and a `hint`.

    Neither sentence may hold an e-mail address, a phone number or a message body.
    """

    code = "error"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class ConfigError(ZhiyinError):
    """`zhiyin.toml` or a `ZHIYIN_*` variable is wrong."""

    code = "config"


class WorkspaceError(ZhiyinError):
    """There is no workspace here, or it cannot be opened."""

    code = "workspace"


class SchemaTooNew(WorkspaceError):
    """The workspace was written by a newer version of Zhiyin."""

    code = "schema_too_new"


class InvalidParameter(ZhiyinError, ValueError):
    """An argument is outside its documented range."""

    code = "invalid_parameter"


class InvalidRule(InvalidParameter):
    """The rule of an audience cannot be read, or it names what does not exist.

    `reason`: what is wrong, as a code; `where`: the place in the rule, `$` = the whole.
    """

    code = "invalid_rule"

    def __init__(self, message: str, *, reason: str, where: str = "$", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.reason = reason
        self.where = where


class InputError(ZhiyinError):
    """A file or a mapping cannot be read as a whole; single bad rows go to quarantine."""

    code = "input"


class WrongPropensities(ZhiyinError):
    """The propensities of a decision log are missing, impossible, or not those it was drawn by.

    `reason`: what is wrong, as a code.
    """

    code = "wrong_propensities"

    def __init__(self, message: str, *, reason: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.reason = reason


class NotFound(ZhiyinError, LookupError):
    """The named table, customer, campaign or job does not exist."""

    code = "not_found"


class NotEnoughData(ZhiyinError):
    """Too little data for an answer; the message says what is missing."""

    code = "not_enough_data"


class MissingExtra(ZhiyinError, ImportError):
    """An optional part is not installed; the hint has the command."""

    code = "missing_extra"


class PermissionDenied(ZhiyinError):
    """The caller's role does not hold the permission that the action needs."""

    code = "permission_denied"


class NotAuthenticated(PermissionDenied):
    """The request has no API key, or one that is unknown or revoked."""

    code = "not_authenticated"


class TooLarge(ZhiyinError):
    """A request is larger than it may be."""

    code = "too_large"


class LeaseHeld(ZhiyinError):
    """Another process holds the lease; nothing was changed."""

    code = "lease_held"


class KeyDestroyed(ZhiyinError):
    """The party was erased, so its data key is gone and its data cannot be read."""

    code = "key_destroyed"


class ConcurrentWrite(ZhiyinError):
    """Another writer committed first; nothing was changed."""

    code = "concurrent_write"


class JournalError(ZhiyinError):
    """The journal cannot be written, or a segment cannot be read; nothing was acknowledged."""

    code = "journal"


class Busy(ZhiyinError):
    """Too much is under way, or a source sends faster than it may: send it again later.

    `retry_after_s`: in how many seconds.
    """

    code = "busy"

    def __init__(self, message: str, *, hint: str = "", retry_after_s: int = 1) -> None:
        super().__init__(message, hint=hint)
        self.retry_after_s = retry_after_s


class DiskFull(Busy):
    """There is no room to write: nothing was changed, and the same may be done again."""

    code = "disk_full"

    def __init__(self, message: str = "the disk is full") -> None:
        super().__init__(message, hint=_ROOM, retry_after_s=60)


_ROOM = "make room on it, then do the same again: what is done already is not done twice"
_NO_ROOM = ("database or disk is full", "no space left on device", "disk quota exceeded")


def is_disk_full(error: BaseException) -> bool:
    """Whether an error, of whatever library, says that there is no room to write."""
    if isinstance(error, DiskFull):
        return True
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    said = str(error).lower()
    return any(words in said for words in _NO_ROOM)


class TooFast(Busy):
    """A source sends more events than its key allows: send them again later."""

    code = "too_fast"


class DeliveryError(ZhiyinError):
    """A channel could not hand a message to its provider.

    `retryable`: the provider surely does not have it, and a later attempt may succeed.
    `in_doubt`: the provider may or may not have it. With neither, it was refused for good.
    `no_such_address`: refused because nobody has the address; `no_authorisation`: because she
    allowed no such message, or allows none any more.
    `retry_after_s`: how long the provider asks to wait, where it says so.
    """

    code = "delivery"

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        retryable: bool = False,
        in_doubt: bool = False,
        retry_after_s: float | None = None,
        no_such_address: bool = False,
        no_authorisation: bool = False,
    ) -> None:
        super().__init__(message, hint=hint)
        self.retryable = retryable
        self.retry_after_s = retry_after_s
        self.in_doubt = in_doubt
        self.no_such_address = no_such_address
        self.no_authorisation = no_authorisation


class ChannelUnavailable(DeliveryError):
    """The provider cannot be reached or lets nobody in: no fault of the message, try later."""

    code = "channel_unavailable"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint, retryable=True)
