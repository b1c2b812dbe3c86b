"""What identifies a person: kinds of identifiers, how each is written alike, and what never counts.

A namespace is a kind, or a kind and its scope: `openid:wx12ab` (one WeChat app), `ouid:shop-a`
(one Tmall shop). Every other name is the id space of a source's user ids. An advertising id
(OAID) and whatever a platform masks (138****1234, a***@x.com) identify nobody.
"""

from __future__ import annotations

import re
import unicodedata

import idna

from zhiyin.core.errors import ConfigError
from zhiyin.govern.calling_codes import COUNTRIES, NATIONAL_LENGTHS

USER_ID, ANONYMOUS_ID, EMAIL, PHONE = "user_id", "anonymous_id", "email", "phone"
UNIONID, OPENID, OUID = "unionid", "openid", "ouid"
EXTERNAL_USERID = "external_userid"  # a customer in the contacts of a member of 企业微信 (WeCom)
DEVICE_ID, CARD, OAID = "device_id", "card_id", "oaid"
SCOPED = (OPENID, OUID)
"""Kinds that mean something within one WeChat app, or one shop: only `unionid` joins apps."""
KINDS = (EMAIL, PHONE, UNIONID, CARD, OUID, OPENID, EXTERNAL_USERID, DEVICE_ID, ANONYMOUS_ID)
"""Kinds other than user ids; a row with several is the record of the first."""
NEVER = (OAID,)
"""Kinds that never identify: the owner resets them, and devices are shared."""
MAX_LENGTH = 256

_BLOCKED = frozenset(
    {
        "null", "nil", "none", "undefined", "nan", "n/a", "#n/a", "empty", "blank", "0", "-1",
        "-", "--", "?", "test", "testing", "tester", "user", "userid", "user_id", "anonymous",
        "anon", "guest", "unknown", "not_provided", "not provided", "not set", "(not set)", "false",
        "true", "default", "admin", "customer", "email", "phone", "id", "xxx", "[object object]",
        "none@none.com", "null@null.com", "test@test.com", "a@a.com",
        "无", "空", "未知", "游客", "匿名", "匿名用户", "访客", "测试", "暂无", "没有", "不详",
        "保密", "未填写", "未提供", "散客", "收银台", "默认",
    }
)  # fmt: skip
_NOBODY = frozenset({"noreply", "no-reply", "donotreply", "null", "undefined", "none", "anonymous"})
_EMAIL = re.compile(r"[\w.+'-]+@[\w-]+(?:\.[\w-]+)+")
_MASKED = re.compile(r"[*•●·＊×]|x{3,}", re.IGNORECASE)
_SAME = re.compile(r"(.)\1*")
_FILLING, _HIDDEN = re.compile(r"[\s{}-]"), re.compile(r"[*•●＊]{2,}")


def kind_of(namespace: str) -> str:
    """The kind of a namespace; `user_id` for the id space of any source."""
    kind = namespace.partition(":")[0]
    return kind if kind in KINDS else USER_ID


def namespace_of(kind: str, scope: str = "") -> str:
    """The namespace of a kind; `scope` is the app of an openid, the shop of an ouid."""
    return f"{kind}:{scope}" if kind in SCOPED and scope else kind


def strength(namespace: str) -> int:
    """Place of a namespace among those that may stand for a person: 0 is a user id."""
    kind = namespace.partition(":")[0]
    return KINDS.index(kind) + 1 if kind in KINDS else 0


def normalise(namespace: str, value: str, *, calling_code: str = "") -> str | None:
    """The one spelling of an identifier; None where it identifies nobody.

    Parameters
    ----------
    calling_code
        Of phone numbers without one.
    """
    kind = namespace.partition(":")[0]
    if kind in NEVER or (kind in SCOPED and kind == namespace):
        return None  # an openid without its app could be anybody's
    if kind == EMAIL:
        return normalise_email(value)
    if kind == PHONE:
        return normalise_phone(value, calling_code=calling_code)
    return normalise_user_id(value)


def is_blocked(value: str) -> bool:
    """Whether a normalised value is a placeholder: empty, null, 无, all zeros, masked …"""
    bare = _FILLING.sub("", value)
    return (
        not bare
        or value.lower() in _BLOCKED
        or len(value) > MAX_LENGTH
        or (len(bare) > 1 and bare[0] in "0_.?*" and _SAME.fullmatch(bare) is not None)
        or _HIDDEN.search(value) is not None
    )


def normalise_user_id(value: str) -> str | None:
    """An id without space around it, in one Unicode form; upper and lower case differ."""
    text = unicodedata.normalize("NFKC", value).strip()
    return None if is_blocked(text) else text


def normalise_email(value: str) -> str | None:
    """The address in lower case with its domain in ASCII (IDNA 2008), None if it is none.

    Dots and tags before the @ are kept: whether they matter is known to the provider alone.
    """
    address = unicodedata.normalize("NFKC", value).strip().lower()
    if not _EMAIL.fullmatch(address) or is_blocked(address):
        return None
    local, _, domain = address.rpartition("@")
    if local in _NOBODY:
        return None
    if not domain.isascii():
        try:
            domain = idna.encode(domain, uts46=True).decode("ascii")
        except idna.IDNAError:
            return None
    return f"{local}@{domain}"


def normalise_phone(value: str, *, calling_code: str = "") -> str | None:
    """The number as E.164 (+8613800138000), None if it is none.

    A number without `+` or `00` gets `calling_code`, its leading trunk zero is dropped (not in
    Italy); one that begins with the code and has its full length has it already. Without a
    calling code it stays national, digits only. Masked numbers (138****1234) are none.
    """
    text = unicodedata.normalize("NFKC", value).strip()
    digits = re.sub(r"\D", "", text)
    if re.search(r"[A-Za-z]", text) or _MASKED.search(text) or not 5 <= len(digits) <= 17:
        return None
    if _SAME.fullmatch(digits):
        return None
    if text.startswith("+"):
        return _international(digits)
    if digits.startswith("00"):
        return _international(digits[2:])
    if not calling_code:
        return digits
    if calling_code != "39":
        digits = digits.lstrip("0") or digits
    shortest, longest = NATIONAL_LENGTHS.get(calling_code, (4, 14))
    rest = digits.removeprefix(calling_code)
    if len(digits) > longest and shortest <= len(rest) <= longest:
        digits = rest
    return _international(f"{calling_code}{digits}")


def _international(digits: str) -> str | None:
    """`+` and the digits, where a number of E.164 can look so: at most 15 digits, no leading 0."""
    if not 7 <= len(digits) <= 15 or digits.startswith("0"):
        return None
    return f"+{digits}"


def calling_code_of(country: str) -> str:
    """The calling code of a country (ISO 3166, two letters); empty for an empty one.

    Raises
    ------
    ConfigError
        If it is not known.
    """
    if country and country not in COUNTRIES:
        raise ConfigError(
            f"the calling code of country {country!r} is not known", hint="ISO 3166: CN, US, GB …"
        )
    return COUNTRIES[country] if country else ""


def mask_namespace(namespace: str) -> str:
    """What may be shown of a namespace: its kind, and the scope's first characters."""
    kind, _, scope = namespace.partition(":")
    return f"{kind}:{scope[:4]}…" if len(scope) > 4 else namespace
