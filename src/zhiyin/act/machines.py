"""Tells machines from people: mail scanners follow links, and mailboxes fetch pictures.

What a machine did is kept and marked, never deleted: whoever disagrees with a rule can count anew.
"""

from __future__ import annotations

import re

HEAD, SCANNER, TOO_SOON, BURST = "head", "scanner", "too_soon", "burst"
APPLE, GMAIL = "apple_privacy", "gmail_proxy"
WORDS = {
    HEAD: ("asked for the head of the page only", "仅请求页头"),
    SCANNER: ("a program that says so, or says nothing", "自称程序或未表明身份"),
    TOO_SOON: ("quicker after the sending than a person", "发送后过快，不似人为"),
    BURST: ("several links of one message at once", "同时打开同一邮件的多个链接"),
    APPLE: ("fetched by Apple Mail Privacy Protection", "由苹果邮件隐私保护预取"),
    GMAIL: ("fetched by Gmail's picture proxy", "由 Gmail 图片代理获取"),
}
"""Why a reaction was no person's: code → (en, zh)."""
TOO_SOON_S = 7.0
BURST_S = 10.0
BURST_LINKS = 3
_PROGRAMS = re.compile(
    r"bot\b|bot/|crawl|spider|slurp|scan|preview|monitor|check|fetch|headless|phantomjs|"
    r"curl|wget|python|java/|okhttp|go-http|libwww|httpclient|axios|node-fetch|ruby|perl|"
    r"barracuda|proofpoint|mimecast|safelinks|urldefense|symantec|messagelabs|trendmicro|fireeye|"
    r"forcepoint|sophos|ironport|cloudmark|zscaler|facebookexternalhit|slack|whatsapp|telegram|"
    r"skypeuripreview|bingpreview|microsoft office existence|google-safety|virustotal",
    re.IGNORECASE,
)


def judge_click(*, method: str, user_agent: str, since_sent_s: float | None) -> str | None:
    """Why a click was a machine's; None: it may be a person's.

    Parameters
    ----------
    since_sent_s
        Seconds since the message was handed over; None: it is not known.
    """
    if method == "HEAD":
        return HEAD
    if not user_agent.strip() or _PROGRAMS.search(user_agent):
        return SCANNER
    if since_sent_s is not None and since_sent_s < TOO_SOON_S:
        return TOO_SOON
    return None


def judge_open(*, method: str, user_agent: str, since_sent_s: float | None) -> str | None:
    """Why a picture was fetched by a machine; None: it may have been shown to a person."""
    agent = user_agent.strip()
    if agent == "Mozilla/5.0":  # what Apple's servers say, and no program of a person
        return APPLE
    if "GoogleImageProxy" in agent:
        return GMAIL
    return judge_click(method=method, user_agent=agent, since_sent_s=since_sent_s)


def is_burst(links: int, *, of: int) -> bool:
    """Whether so many different links within `BURST_S`, of a letter with `of`, are a machine's."""
    return links >= 2 and links >= min(of, BURST_LINKS)
