"""The pages that customers see behind a signed link: no script, no account, nobody is named."""

from __future__ import annotations

from html import escape

from starlette.responses import HTMLResponse

POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; "
    "base-uri 'none'"
)
_PAGE = """<!doctype html>
<html lang="{language}"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex"><title>{title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 18px/1.6 system-ui, "PingFang SC", sans-serif; max-width: 32rem; margin: 15vh auto;
padding: 0 1.5rem; }}
button, select {{ font: inherit; padding: .5rem 1.4rem; cursor: pointer; }}
label {{ display: block; padding: .35rem 0; }} fieldset {{ border: 0; padding: 0; }}
p, form {{ margin: 1rem 0; }}
</style></head><body>
{body}
</body></html>
"""


def language_of(spoken: str) -> str:
    """The language of a page, `en` or `zh`."""
    return "zh" if spoken.lower().startswith("zh") else "en"


def small_page(shop: str, *, language: str, title: str, body: str) -> HTMLResponse:
    """A page under the shop's name; `body` is HTML, already escaped."""
    head = f"<h1>{escape(shop)}</h1>\n"
    page = _PAGE.format(language=language, title=escape(title), body=head + body)
    return HTMLResponse(page, headers={"Content-Security-Policy": POLICY})
