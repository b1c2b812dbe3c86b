"""Letters are filled in a quick way: it gives exactly what Liquid gives, and escapes as it does."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from liquid.exceptions import LiquidError

from tests.examples import examples
from zhiyin.act.create.email import _packaged, compile_text
from zhiyin.act.create.quick import _or_nil

WORDS = st.text(max_size=12) | st.sampled_from(
    ["<script>x</script>", "{{ shop }}", "a & b", "“豆腐”"]
)
PRODUCT = st.fixed_dictionaries({"name": WORDS, "detail": WORDS, "url": WORDS})
VALUES = st.fixed_dictionaries({
    "shop": WORDS, "name": WORDS, "offer": WORDS, "last_day": WORDS, "personal": st.booleans(),
    "postal_address": WORDS, "unsubscribe_url": WORDS, "preferences_url": WORDS,
    "products": st.lists(PRODUCT, max_size=4), "confirm_url": WORDS, "text": WORDS,
    "marketing": st.booleans(), "subject": WORDS, "link": WORDS, "link_text": WORDS,
    "paragraphs": st.lists(st.lists(WORDS, max_size=3), max_size=3),
})  # fmt: skip
HARM = dict.fromkeys(
    ("shop", "name", "offer", "last_day", "postal_address", "unsubscribe_url", "preferences_url",
     "confirm_url", "text", "subject", "link", "link_text"), "<script>&\"'</script>"
) | {"personal": True, "marketing": True, "products": [], "paragraphs": [["<b>"]]}  # fmt: skip
OWN = [
    "{{ name }}{% if name and shop %}a{% elsif offer or last_day %}b{% else %}c{% endif %}",
    "{% unless name %}x{% endunless %}{{ name | upcase }}",
    "{% for p in products %}{{ forloop.index }} {{ p.name }}{% else %}none{% endfor %}",
    "{% for p in products limit: 2 %}{{ p.name }}{% endfor %}",
    "{% if personal %}   {% endif %}|{{ products.size }}|{{ personal }}|{{ products }}",
    "{% assign x = name %}{{ x }}{{ products[0].name }}{{ nobody }}",
]


@pytest.mark.parametrize("name", ["offer", "letter", "confirm"])
@pytest.mark.parametrize("language", ["en", "zh"])
@settings(max_examples=examples(8), deadline=None)
@given(VALUES)
@example(HARM)
def test_the_packaged_letters_read_as_liquid_fills_them(name, language, values):
    template = _packaged(name, language)
    filled = {key: _or_nil(value) for key, value in values.items()}
    for part in (template.subject, template.html, template.text):
        assert part.quick
        assert part.fill(values) == part._template.render(filled)
    assert "<script>" not in template.html.fill(values)


@pytest.mark.parametrize("source", OWN)
@pytest.mark.parametrize("escaped", [True, False])
@settings(max_examples=examples(8), deadline=None)
@given(VALUES)
def test_a_text_of_ones_own_reads_as_liquid_fills_it(source, escaped, values):
    made = compile_text(source, escaped=escaped)
    filled = {key: _or_nil(value) for key, value in values.items()}
    try:
        expected = made._template.render(filled)
    except LiquidError as error:
        with pytest.raises(type(error)):
            made.fill(values)
    else:
        assert made.fill(values) == expected


def test_what_a_loop_says_of_an_item_is_said_again_of_the_same_item_alone():
    made = compile_text("{% for p in ps %}{% if p.old %}~{% endif %}{{ p.name }}{% endfor %}")
    one, other = {"name": "a", "old": ""}, {"name": "a", "old": "yes"}
    odd = [{"name": 7, "old": ""}, {"name": "a", "old": True}]
    assert [made.fill({"ps": ps}) for ps in ([one, other, one], odd[1:], [*odd[:1], one])] == [
        "a~aa", "~a", "7a"
    ]  # fmt: skip


def test_a_loop_without_end_is_stopped_in_the_quick_way_too():
    made = compile_text("{% for a in xs %}{% for b in xs %}.{% endfor %}{% endfor %}")
    assert made.quick
    assert made.fill({"xs": list(range(30))}) == "." * 900
    with pytest.raises(LiquidError):
        made.fill({"xs": list(range(40))})
