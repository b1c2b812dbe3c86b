"""Which columns and JSON keys hold personal data, and of what kind: by their name and content.

A name is split into words (`buyerMobile` → buyer, mobile); Chinese names are looked through for
words. Content is convincing on its own where a pattern with a checksum, or one that hardly
anything else has, fits most of a sample. A name alone is refuted by content that cannot be it:
`email_opt_in` holds yes and no.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "email", "phone", "id_card", "bank_card", "passport", "address", "name", "birthday", "ip",
    "device", "wechat", "postcode", "location", "user_agent",
]  # fmt: skip
SAMPLE = 200
KINDS: dict[Kind, tuple[str, str]] = {
    "email": ("e-mail address", "邮箱"),
    "phone": ("phone number", "电话"),
    "id_card": ("identity card", "身份证号"),
    "bank_card": ("bank card", "银行卡号"),
    "passport": ("passport", "护照号"),
    "address": ("address", "地址"),
    "name": ("name of a person", "姓名"),
    "birthday": ("birthday", "生日"),
    "ip": ("IP address", "IP 地址"),
    "device": ("device", "设备标识"),
    "wechat": ("WeChat", "微信标识"),
    "postcode": ("postcode", "邮编"),
    "location": ("location", "位置"),
    "user_agent": ("user agent", "浏览器标识"),
}
"""Every kind with its name in English and Chinese."""


@dataclass(frozen=True)
class Classified:
    """What a column holds: `by` says whether its name, its content or both tell it."""

    kind: Kind
    by: Literal["name", "content", "both"]
    share: float  # of the sample that has the kind's form


_PEOPLE = r"(?:buyer|customer|client|user|member|recipient|receiver|consignee|contact|person|guest|"
_PEOPLE += r"billing|shipping|ship to|bill to|account holder|employee|patient|subscriber|owner)"
_ENGLISH: tuple[tuple[Kind, str], ...] = (
    ("user_agent", r"user agent|\bua\b"),
    ("email", r"\be ?mails?\b|\bmail address\b|\bemailaddress\b"),
    (
        "bank_card",
        r"\b(?:bank|credit|debit)? ?card (?:no|num|number)\b|\bpan\b|\biban\b|\bbank account\b",
    ),
    (
        "id_card",
        r"\bid ?card\b|\bidentity (?:card|no|number)\b|\bnational id\b|\bssn\b|"
        r"\bid (?:no|number)\b|\bcitizen id\b|\bcert no\b|\btax id\b",
    ),
    ("passport", r"\bpassports?\b"),
    (
        "phone",
        r"\b(?:tele)?phones?\b|\bmobiles?\b|\btel\b|\bcell(?:phone)?\b|\bfax\b|\bmsisdn\b|"
        r"\bwhatsapp\b",
    ),
    ("wechat", r"\bwe ?chat\b|\bweixin\b|\bopen ?id\b|\bunion ?id\b|\bwx ?id\b"),
    (
        "device",
        r"\bimei\b|\bidfa\b|\bidfv\b|\boaid\b|\bgaid\b|\bandroid id\b|"
        r"\bdevice (?:id|no|token)\b|\bmac addr(?:ess)?\b|\bcookie(?: id)?\b|\badvertising id\b",
    ),
    ("ip", r"\bips?\b|\bip ?addr(?:ess)?\b|\bremote addr\b"),
    ("birthday", r"\bbirth ?(?:day|date)?\b|\bdob\b|\bdate of birth\b"),
    ("postcode", r"\bzip ?(?:code)?\b|\bpost ?code\b|\bpostal code\b|\bpostal\b"),
    ("location", r"\blat(?:itude)?\b|\blng\b|\blon(?:gitude)?\b|\bgeo(?:location| point)?\b"),
    ("address", r"\baddr(?:ess)?(?:es)? ?\d?\b|\bstreet\b|\bresidence\b"),
    (
        "name",
        r"\b(?:first|last|full|given|family|middle|sur|nick|real|legal) ?names?\b|\bsurname\b|"
        rf"\b{_PEOPLE} ?name\b|\b(?:addressee|recipient|consignee)\b",
    ),
)
_CHINESE: tuple[tuple[Kind, str], ...] = (
    ("email", "邮箱|电子邮件|邮件地址"),
    ("bank_card", "银行卡|卡号|银行账号|信用卡"),
    ("id_card", "身份证|证件号|证件号码"),
    ("passport", "护照"),
    ("phone", "手机|电话|联系方式|传真|移动号码"),
    ("wechat", "微信|openid|unionid"),
    ("device", "设备号|设备标识|imei|oaid|mac地址"),
    ("ip", "ip地址|登录ip|客户端ip"),
    ("birthday", "生日|出生"),
    ("postcode", "邮编|邮政编码"),
    ("location", "经度|纬度|定位"),
    ("address", "地址|住址|详细地址|收货地"),
    ("name", "姓名|收件人|收货人|联系人|买家昵称|会员名|买家会员|客户名|真实名|昵称"),
)
_NOT_PEOPLE = re.compile(
    r"\b(?:product|item|sku|file|store|shop|brand|campaign|event|category|host|domain|table|column|"
    r"template|warehouse|company|page|channel|method|status|type|kind|count|total|flag|opt in|"
    r"opt out|verified|bounced|subject|version|rate|num of|number of|is|has|hash|web)\b"
)
_NOT_PEOPLE_ZH = re.compile(
    "商品|店铺|品牌|活动|类目|仓库|数量|是否|状态|类型|金额|渠道|主题|会员等级"
)
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_EMAIL = re.compile(r"[\w.+'-]+[@＠][\w-]+(?:\.[\w-]+)+")
_CN_MOBILE = re.compile(r"(?:\+?86[ -]?)?1[3-9]\d[ -]?\d{4}[ -]?\d{4}")
_MOBILE_INSIDE = re.compile(r"[^\d\s.:/-]\s?(?:\+?86[ -]?)?1[3-9]\d{9}(?!\d)")
_E164 = re.compile(r"\+[1-9][\d ().-]{6,20}")
_NATIONAL = re.compile(r"0\d{2,3}-\d{7,8}|\(\d{3}\) ?\d{3}-\d{4}|\d{3}[-.]\d{3}[-.]\d{4}")
_PASSPORT = re.compile(r"[EGDSPH]\d{8}|E[A-HJ-NP-Z]\d{7}")
_OPENID = re.compile(r"o[A-Za-z0-9_-]{27}|wxid_[a-z0-9]{8,20}")
_ID_CARD = re.compile(
    r"[1-8]\d{5}(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}[\dXx]"
)
_MAC = re.compile(r"(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}")
_AGENT = re.compile(r"(?:Mozilla|Opera|Dalvik|okhttp)/\d.*")
_STREET = re.compile(
    r"\d+[\w/-]* .*\b(?:street|st|road|rd|avenue|ave|lane|ln|boulevard|blvd|drive|dr|way|court|ct|"
    r"place|pl|square|terrace|close|apt|suite)\b|.*(?:straße|strasse|str\.) ?\d+.*", re.IGNORECASE
)  # fmt: skip
_PLACES = re.compile("[省市区县镇乡村路街道巷弄号栋幢室楼]")
_SURNAMES = frozenset(
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程苏魏吕丁任"
    "沈姚卢姜崔钟谭陆汪范金石廖贾夏韦付方白邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤"
)
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def classify(name: str, samples: Sequence[str]) -> Classified | None:
    """What kind of personal data a column or key holds, None for none.

    Parameters
    ----------
    name
        Header of the column or JSON key.
    samples
        Some of its values as texts; the first 200 that are not empty are looked at.
    """
    values = [one.strip() for one in samples if one and one.strip()][:SAMPLE]
    named = kind_of_name(name)
    best = _kind_of_content(values)
    if best is not None and best[0] == "ip" and "version" in name.lower():
        best = None
    if best is not None:
        kind, share = best
        if named is not None and named != kind and kind in _WEAK:
            return Classified(named, "both" if _fits(named, values) else "name", share)
        return Classified(kind, "both" if named == kind else "content", share)
    if named is None or _is_refuted(named, values):
        return _inside(values)
    return Classified(named, "name", _share(_FORMS[named], values) if named in _FORMS else 0.0)


def _inside(values: Sequence[str]) -> Classified | None:
    """An address or number within a text: one is enough."""
    forms: tuple[tuple[Kind, re.Pattern[str]], ...] = (("email", _EMAIL), ("phone", _MOBILE_INSIDE))
    for kind, pattern in forms:
        share = _share(lambda text, one=pattern: one.search(text) is not None, values)
        if share > 0:
            return Classified(kind, "content", share)
    return None


def kind_of_name(name: str) -> Kind | None:
    """The kind that the name alone suggests."""
    text = unicodedata.normalize("NFKC", name)
    low = text.lower()
    for kind, pattern in _CHINESE:
        if re.search(pattern, low):
            return None if _NOT_PEOPLE_ZH.search(low) else kind
    words = " ".join(_WORD.findall(text)).lower()
    for kind, pattern in _ENGLISH:
        if re.search(pattern, words):
            if kind == "ip" and "zip" in words:
                continue
            return None if _NOT_PEOPLE.search(words) else kind
    return None


def is_id_card(text: str) -> bool:
    """Whether it is a Chinese identity number: 17 digits with a birthday, and a right check digit
    (GB 11643-1999: weights mod 11)."""
    if not _ID_CARD.fullmatch(text):
        return False
    rest = sum(int(digit) * weight for digit, weight in zip(text[:17], _WEIGHTS, strict=True)) % 11
    return "10X98765432"[rest] == text[17].upper()


def has_luhn(text: str) -> bool:
    """Whether the digits of the text end in the check digit of Luhn (ISO/IEC 7812)."""
    digits = [int(mark) for mark in text if mark.isascii() and mark.isdigit()]
    if len(digits) < 2:
        return False
    doubled = (sum(divmod(2 * digit, 10)) for digit in digits[-2::-2])
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def _is_bank_card(text: str) -> bool:
    digits = re.sub(r"[ -]", "", text)
    whole = digits.isascii() and digits.isdigit() and 13 <= len(digits) <= 19
    return whole and digits[0] in "3456" and len(set(digits)) > 2 and has_luhn(digits)


def _is_imei(text: str) -> bool:
    whole = len(text) == 15 and text.isascii() and text.isdigit() and text[:2] not in ("34", "37")
    return (whole and has_luhn(text)) or _MAC.fullmatch(text) is not None


def _is_ip(text: str) -> bool:
    if not ("." in text or ":" in text) or len(text) < 7:
        return False
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_phone(text: str) -> bool:
    text = unicodedata.normalize("NFKC", text)
    return any(one.fullmatch(text) for one in (_CN_MOBILE, _E164, _NATIONAL))


def _is_address(text: str) -> bool:
    return len(set(_PLACES.findall(text))) >= 3 or _STREET.match(text) is not None


def _is_chinese_name(text: str) -> bool:
    chinese = 2 <= len(text) <= 3 and all("\u4e00" <= mark <= "\u9fff" for mark in text)
    return chinese and text[0] in _SURNAMES


_FORMS: dict[Kind, Callable[[str], bool]] = {
    "email": lambda text: _EMAIL.fullmatch(text) is not None,
    "id_card": is_id_card,
    "wechat": lambda text: _OPENID.fullmatch(text) is not None,
    "user_agent": lambda text: _AGENT.fullmatch(text) is not None,
    "ip": _is_ip,
    "phone": _is_phone,
    "device": _is_imei,
    "bank_card": _is_bank_card,
    "passport": lambda text: _PASSPORT.fullmatch(text) is not None,
    "address": _is_address,
    "name": _is_chinese_name,
}
_NEEDED: dict[Kind, float] = {
    "email": 0.5,
    "id_card": 0.5,
    "address": 0.5,
    "user_agent": 0.5,
    "name": 0.95,
}
_WEAK: frozenset[Kind] = frozenset({"name", "address", "passport", "device", "bank_card", "phone"})
_FLAG = re.compile(r"(?i)(?:true|false|yes|no|y|n|是|否|[01])")


def _share(form: Callable[[str], bool], values: Sequence[str]) -> float:
    return sum(map(form, values)) / len(values) if values else 0.0


def _fits(kind: Kind, values: Sequence[str]) -> bool:
    return kind in _FORMS and _share(_FORMS[kind], values) >= 0.5


def _kind_of_content(values: Sequence[str]) -> tuple[Kind, float] | None:
    for kind, form in _FORMS.items():
        share = _share(form, values)
        needed = _NEEDED.get(kind, 0.8)
        enough = 8 if kind == "name" else 3 if kind not in ("email", "id_card") else 1
        distinct = len(set(values)) / max(len(values), 1)
        varied = kind != "name" or distinct >= 0.7
        if share >= needed and len(values) >= enough and varied:
            return kind, share
    return None


def _is_refuted(kind: Kind, values: Sequence[str]) -> bool:
    """Whether content shows that the name means something else."""
    if not values:
        return False
    if all(_FLAG.fullmatch(one) for one in values):
        return True
    if kind in ("email", "address", "name", "user_agent"):
        return all(re.fullmatch(r"[\d.,:% -]{1,7}", one) for one in values)
    if kind == "ip":
        return not any("." in one or ":" in one for one in values)
    if kind == "phone":
        return all(len(re.sub(r"\D", "", one)) < 5 for one in values)
    return False
