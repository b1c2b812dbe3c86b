"""Lists for ad platforms: contacts normalised and hashed as Google and Meta ask for (pure).

Google: Data Manager API, *Format user data*, and *Format your customer data file* (Customer Match).
Meta: *Customer information parameters*, and *How to format a customer list*.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from zhiyin.act.campaigns.handed import GOOGLE_ADS, META_ADS
from zhiyin.govern.calling_codes import COUNTRIES

GOOGLE_HEADERS = ("Email", "Phone", "First Name", "Last Name", "Country", "Zip")
META_HEADERS = ("email", "phone", "fn", "ln", "ct", "st", "zip", "country")
_GMAIL = ("gmail.com", "googlemail.com")
_TITLES = re.compile(r"^(?:mrs|mr|ms|miss|dr|prof)\.\s*|,?\s+(?:jr|sr)\.?$")


@dataclass(frozen=True)
class Contact:
    """What a list may say of somebody, as it was loaded; no repr shows it."""

    email: str = field(default="", repr=False)
    phone: str = field(default="", repr=False)  # E.164
    first_name: str = field(default="", repr=False)
    last_name: str = field(default="", repr=False)
    country: str = field(default="", repr=False)
    region: str = field(default="", repr=False)
    city: str = field(default="", repr=False)
    zip: str = field(default="", repr=False)


def hash_google(one: Contact) -> dict[str, str]:
    """A line of Customer Match. Country and zip stay plain, as Google asks; what is not known is
    empty.
    """
    values = (
        _hashed(google_email(one.email)), _hashed(_e164(one.phone)),
        _hashed(_name(one.first_name)), _hashed(_name(one.last_name)),
        _country(one.country), _plain_zip(one.zip),
    )  # fmt: skip
    return dict(zip(GOOGLE_HEADERS, values, strict=True))


def hash_meta(one: Contact) -> dict[str, str]:
    """A line of a custom audience: everything is hashed; what is not known is empty."""
    country = _country(one.country).lower()
    values = (
        one.email.strip().lower(), _e164(one.phone).lstrip("+0"),
        _name(one.first_name), _name(one.last_name),
        _letters(one.city), meta_region(one.region, country), meta_zip(one.zip, country), country,
    )  # fmt: skip
    return dict(zip(META_HEADERS, map(_hashed, values), strict=True))


HASHED: Mapping[str, tuple[tuple[str, ...], Callable[[Contact], dict[str, str]]]] = {
    GOOGLE_ADS: (GOOGLE_HEADERS, hash_google),
    META_ADS: (META_HEADERS, hash_meta),
}
"""Channel of a campaign → headers of its list, and how a contact becomes a line."""


def google_email(email: str) -> str:
    """In lower case without any space; of Gmail without dots and what follows a plus."""
    local, _, domain = "".join(email.lower().split()).rpartition("@")
    if domain in _GMAIL:
        local = local.partition("+")[0].replace(".", "")
    return f"{local}@{domain}" if local and domain else ""


def meta_zip(code: str, country: str) -> str:
    """In lower case without spaces and dashes; of the United States the first five digits."""
    bare = "".join(mark for mark in code.lower() if mark.isalnum())
    return bare[:5] if country == "us" else bare


def meta_region(region: str, country: str) -> str:
    """Letters in lower case; a state of the United States by its two letters."""
    bare = _letters(region)
    return _STATES.get(bare, bare) if country == "us" else bare


def _plain_zip(code: str) -> str:
    """Letters, digits, spaces and dashes: it stays plain, and no spreadsheet may run it."""
    kept = "".join(mark if mark.isalnum() or mark == "-" else " " for mark in code)
    return " ".join(kept.split()).lstrip("- ")


def _hashed(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest() if text else ""


def _e164(phone: str) -> str:
    digits = re.sub(r"\D", "", phone)
    return f"+{digits}" if phone.startswith("+") and digits else ""


def _name(name: str) -> str:
    """In lower case, without title, punctuation and needless space."""
    alike = _TITLES.sub("", unicodedata.normalize("NFC", name).strip().lower())
    kept = (one for one in alike if one.isspace() or not unicodedata.category(one).startswith("P"))
    return " ".join("".join(kept).split())


def _letters(text: str) -> str:
    """In lower case, letters and digits alone."""
    alike = unicodedata.normalize("NFC", text).lower()
    return "".join(one for one in alike if one.isalnum())


def _country(country: str) -> str:
    code = country.strip().upper()
    return code if code in COUNTRIES else ""


_STATES: dict[str, str] = dict(
    re.findall(
        r"(\w+) (\w\w)",
        "alabama al alaska ak arizona az arkansas ar california ca colorado co connecticut ct "
        "delaware de districtofcolumbia dc florida fl georgia ga hawaii hi idaho id illinois il "
        "indiana in iowa ia kansas ks kentucky ky louisiana la maine me maryland md "
        "massachusetts ma michigan mi minnesota mn mississippi ms missouri mo montana mt "
        "nebraska ne nevada nv newhampshire nh newjersey nj newmexico nm newyork ny "
        "northcarolina nc northdakota nd ohio oh oklahoma ok oregon or pennsylvania pa "
        "rhodeisland ri southcarolina sc southdakota sd tennessee tn texas tx utah ut vermont vt "
        "virginia va washington wa westvirginia wv wisconsin wi wyoming wy",
    )
)
