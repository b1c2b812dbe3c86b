"""An e-mail's HTML, made harmless for a preview: it can load nothing and lead nowhere."""

from __future__ import annotations

import re

_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_ELEMENT = re.compile(
    r"<(script|iframe|object|embed|form)\b.*?</\1\s*>|<(link|base|meta|script|iframe|embed|object)\b[^>]*>",
    re.DOTALL | re.IGNORECASE,
)
_ATTRIBUTE = re.compile(
    r"""\b(href|src|srcset|background|action|poster|data|xlink:href|ping)\s*=\s*"""
    r"""("[^"]*"|'[^']*'|[^\s>]+)""",
    re.IGNORECASE,
)
_IMPORT = re.compile(r"@import\b[^;]*;?", re.IGNORECASE)
_URL = re.compile(r"url\(\s*(?!['\"]?data:)[^)]*\)", re.IGNORECASE)


def make_offline(html: str) -> str:
    """`html` without scripts, remote pictures, fonts and link targets.

    Pictures inside the e-mail (`data:`) stay. A preview is shown in a sandboxed frame under a
    policy that forbids loading, so this is the first of three fences.
    """
    kept = _ELEMENT.sub("", _COMMENT.sub("", html))
    kept = _ATTRIBUTE.sub(_replace, kept)
    return _URL.sub("none", _IMPORT.sub("", kept)).strip()


def _replace(match: re.Match[str]) -> str:
    name, value = match[1].lower(), match[2].strip("\"'").strip()
    if name == "href":
        return 'href="#"'
    inside = name == "src" and value.lower().startswith("data:image/")
    return match[0] if inside else 'alt=""'
