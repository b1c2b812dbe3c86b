"""Looks at messages before they are sent: rendered as they will be, with no address and no name."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from zhiyin.act import ledger
from zhiyin.act.create.email import LANGUAGES, Rendered
from zhiyin.act.ledger import State
from zhiyin.act.letters import render_letter, write_message
from zhiyin.act.letters_job import load_letters
from zhiyin.act.reasons import REASONS
from zhiyin.core.context import Context
from zhiyin.govern.people import EMAIL

EXAMPLES = 4
LISTED = 1_000  # rows shown per campaign
_WORDS = {
    "title": ("Planned messages", "计划发送的消息"),
    "lead": (
        "Nothing here was sent by the run. Look at the examples, then send with: zhiyin send "
        "CAMPAIGN --approve",
        "运行本身不会发送任何消息。请先查看示例，确认后发送：zhiyin send CAMPAIGN --approve",
    ),
    "none": ("No messages are planned.", "没有计划发送的消息。"),
    "examples": ("Examples", "示例"),
    "messages": ("Messages", "消息"),
    "head": (
        ("Message", "Customer", "Language", "State", "Why not"),
        ("消息", "顾客", "语言", "状态", "未发送原因"),
    ),
    "more": ("and {n} more", "另有 {n} 条"),
    "text": ("Plain text", "纯文本"),
}
_STATES = {
    "planned": "计划中", "sending": "发送中", "sent": "已发送", "unknown": "状态不明",
    "failed": "失败", "skipped": "已跳过",
}  # fmt: skip
_STYLE = """
body{font:16px/1.5 -apple-system,'Segoe UI',Roboto,'PingFang SC','Microsoft YaHei',
'Noto Sans CJK SC',sans-serif;color:#222;max-width:1000px;margin:2rem auto;padding:0 1rem}
h1{font-size:1.6rem}h2{font-size:1.2rem;margin-top:2.5rem}p.lead{color:#555}
iframe{width:100%;height:880px;border:1px solid #ddd;border-radius:6px;background:#f1efea}
table{border-collapse:collapse;width:100%;font-size:14px}
th,td{text-align:left;padding:6px 10px;border-bottom:1px solid #e6e6e6}
td.id{font-family:ui-monospace,Menlo,Consolas,monospace;font-size:12px}
pre{white-space:pre-wrap;background:#f7f7f7;padding:1rem;border-radius:6px}
"""


def example_emails(ctx: Context, limit: int = EXAMPLES) -> list[dict[str, Any]]:
    """Up to `limit` e-mails of the context's turn, both languages in turn, for the report.

    Returns
    -------
    `message_id`, `campaign_id`, `customer_id`, `language`, `state`, `subject`, `html`, `text`.
    Their unsubscribe links are not signed, so that nobody can use them.
    """
    found = ledger.load_example_ids(ctx, languages=LANGUAGES, each=limit)
    rows = ledger.load_examples(ctx, found)
    by_language = [[row for row in rows if row.language == one] for one in LANGUAGES]
    turns = [group[place] for place in range(limit) for group in by_language if place < len(group)]
    return [made for row in turns[:limit] if (made := _example(ctx, row)) is not None]


def planned_page(ctx: Context) -> str:
    """A self-contained HTML page of the turn's messages, in the workspace's first language."""
    zh = ctx.settings.languages[0] == "zh"
    examples = example_emails(ctx)
    parts = [
        _campaign(one, ledger.load_states(ctx, one), zh=zh) for one in ledger.load_campaigns(ctx)
    ]
    shown = "".join(_frame(one, zh=zh) for one in examples)
    body = f"<h2>{_word('examples', zh)}</h2>{shown}" if shown else ""
    body += "".join(parts) or f"<p>{_word('none', zh)}</p>"
    title = f"{_word('title', zh)} · {ctx.settings.name}"
    return (
        f'<!doctype html><html lang="{"zh" if zh else "en"}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>"
        f'<h1>{escape(title)}</h1><p class="lead">{_word("lead", zh)}</p>{body}</body></html>\n'
    )


def _example(ctx: Context, row: Any) -> dict[str, Any] | None:  # Any: a ledger row
    content = ctx.vault.unseal([row.party_id], [row.content])[0]
    if content is None:
        return None
    shared: dict[str, Any] = {
        "settings": ctx.settings, "vault": ctx.vault, "message_id": row.message_id,
        "language": row.language, "signed": False, "letters": load_letters(ctx, content),
    }  # fmt: skip
    if row.channel == EMAIL:
        rendered = render_letter(content, **shared)
    else:
        text = write_message(row.channel, content, **shared).text
        rendered = Rendered(text, f"<p>{escape(text)}</p>", text)
    return {
        "message_id": row.message_id,
        "campaign_id": row.campaign_id,
        "customer_id": row.customer_id,
        "language": row.language,
        "state": row.state,
        "subject": rendered.subject,
        "html": rendered.html,
        "text": rendered.text,
    }


def _campaign(campaign_id: str, states: Sequence[State], *, zh: bool) -> str:
    head = "".join(f"<th>{escape(one)}</th>" for one in _WORDS["head"][zh])
    rows = "".join(_row(one, zh=zh) for one in states[:LISTED])
    more = len(states) - LISTED
    rest = f"<p>{_word('more', zh).format(n=f'{more:,}')}</p>" if more > 0 else ""
    return (
        f"<h2>{escape(campaign_id)} · {len(states):,} {_word('messages', zh)}</h2>"
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{rest}"
    )


def _row(one: State, *, zh: bool) -> str:
    why = REASONS.get(one.reason or "", ("", ""))[zh]
    state = _STATES[one.state] if zh else one.state
    cells = "".join(f"<td>{escape(value)}</td>" for value in (one.language, state, why))
    ids = "".join(
        f'<td class="id">{escape(value)}</td>' for value in (one.message_id, one.customer_id)
    )
    return f"<tr>{ids}{cells}</tr>"


def _frame(example: dict[str, Any], *, zh: bool) -> str:
    subject = escape(example["subject"])
    return (
        f"<h3>{subject} <small>({escape(example['language'])})</small></h3>"
        f'<iframe sandbox title="{subject}" srcdoc="{escape(example["html"])}"></iframe>'
        f"<details><summary>{_word('text', zh)}</summary>"
        f"<pre>{escape(example['text'])}</pre></details>"
    )


def _word(key: str, zh: bool) -> str:
    return str(_WORDS[key][zh])
