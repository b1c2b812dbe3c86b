"""Who refused personalised content still gets messages, with what everybody is shown."""

from __future__ import annotations

from html import unescape

import pytest

from tests.unit.act.shop import CAMPAIGN, DAY, opened, with_channel
from zhiyin.act import job
from zhiyin.testing.channel import RecordingChannel


def words(mail):
    parts = [mail.get_body((kind,)).get_content() for kind in ("plain", "html")]
    return mail["Subject"] + unescape("".join(parts))


@pytest.mark.parametrize(
    ("language", "hers", "everybodys"),
    [
        ("en", ("for you", "is yours", "personal coupon", "your purchases"), "As you asked"),
        ("zh", ("为您精选", "为您挑选", "专属", "您的购买记录"), "应您的要求"),
    ],
)
def test_her_letter_says_nothing_that_was_chosen_for_her(shop, language, hers, everybodys):
    shop.add("ann", "bea", language=language)
    shop.consent("ann", granted=False, purpose="personalisation")
    shop.decide("ann", "bea", generic=("ann",))
    channel = RecordingChannel()
    job.run(shop.context(channel), shop.settings.act)
    mails = {
        one.recipient: words(opened(one.content))
        for kept in channel.delivered.values() for one in kept
    }  # fmt: skip
    generic, personal = mails["ann@shop.example"], mails["bea@shop.example"]
    assert [one for one in hers if one.lower() in generic.lower()] == []
    assert [one for one in hers if one.lower() not in personal.lower()] == []
    assert everybodys in generic
    assert everybodys not in personal


def test_a_refusal_after_planning_stops_what_was_made_for_her(shop):
    shop.add("ann", "bea")
    shop.decide("ann", "bea", generic=("bea",))
    job.run(shop.context(), shop.settings.act)
    shop.consent("ann", "bea", granted=False, days=1, purpose="personalisation")
    rules = {one.reason: one.stopped for one in job.plan(shop.context(), CAMPAIGN).sizes}
    assert rules["personalisation_refused"] == 1
    channel = RecordingChannel()
    ctx = with_channel(shop.context(), channel)
    job.deliver(ctx, CAMPAIGN, progress=lambda what, share: None, as_of=DAY)
    assert shop.state("ann") == ("skipped", "personalisation_refused")
    assert shop.state("bea") == ("sent", None)
