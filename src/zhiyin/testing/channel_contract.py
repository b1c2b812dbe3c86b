"""What every channel must do. A new one is done when a subclass of `ChannelContract` passes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from zhiyin.act.create.email import Rendered
from zhiyin.act.create.message import Envelope, compose
from zhiyin.core.errors import DeliveryError, InvalidParameter
from zhiyin.core.protocols import Channel

SENDER = "hello@shop.example"
RECIPIENT = "ana@shop.example"
REFUSED = "refused@shop.example"
CAPABILITIES = frozenset({"idempotency", "lookup", "mass"})

Arrived = Callable[[], dict[str, list[bytes]]]


def an_email(message_id: str, *, recipient: str = RECIPIENT, text: str = "Hello\n") -> bytes:
    """The bytes of a small e-mail, with a line that begins with a dot and one in Chinese."""
    envelope = Envelope(
        message_id, "Shop", SENDER, recipient, datetime(2024, 3, 10, 13, tzinfo=UTC),
        "https://shop.example/u/token",
    )  # fmt: skip
    body = f"{text}.\n..\n.dots\n知音\n"
    return compose(envelope, Rendered("News", f"<p>{body}</p>", body), language="en")


class ChannelContract:
    """Tests of `core.protocols.Channel`.

    A subclass has the fixtures `channel`, which refuses the recipient `REFUSED` for good, and
    `arrived`: a function that gives what the provider has, contents by message id. A channel of
    another medium than e-mail says who its recipients are, and makes contents of its own.
    """

    recipient, refused = RECIPIENT, REFUSED

    def someone(self, number: int) -> str:
        """Another recipient for each number."""
        return f"c{number}@shop.example"

    def content(self, message_id: str, recipient: str = RECIPIENT) -> bytes:
        """What a message of the medium holds."""
        return an_email(message_id, recipient=recipient)

    def test_it_says_what_it_is(self, channel: Channel) -> None:
        assert channel.name
        assert channel.supports <= CAPABILITIES

    def test_a_message_arrives_as_it_was_given(self, channel: Channel, arrived: Arrived) -> None:
        content = self.content("m_1", self.recipient)
        receipt = channel.send("m_1", self.recipient, content)
        assert receipt
        assert arrived() == {"m_1": [content]}

    def test_a_receipt_names_nobody(self, channel: Channel) -> None:
        assert self.recipient not in channel.send(
            "m_1", self.recipient, self.content("m_1", self.recipient)
        )

    def test_many_messages_arrive(self, channel: Channel, arrived: Arrived) -> None:
        for number in range(20):
            recipient = self.someone(number)
            content = self.content(f"m_{number}", recipient)
            channel.send(f"m_{number}", recipient, content)
        assert sorted(arrived()) == sorted(f"m_{number}" for number in range(20))

    def test_lookup_tells_what_it_promises(self, channel: Channel) -> None:
        before = channel.lookup("m_1")
        channel.send("m_1", self.recipient, self.content("m_1", self.recipient))
        after = channel.lookup("m_1")
        expected = (False, True) if "lookup" in channel.supports else (None, None)
        assert (before, after) == expected

    def test_a_repeat_is_recognised_if_promised(self, channel: Channel, arrived: Arrived) -> None:
        for _ in range(2):
            channel.send("m_1", self.recipient, self.content("m_1", self.recipient))
        assert len(arrived()["m_1"]) == (1 if "idempotency" in channel.supports else 2)

    def test_a_refusal_is_final_and_names_nobody(self, channel: Channel, arrived: Arrived) -> None:
        with pytest.raises((DeliveryError, InvalidParameter)) as caught:
            channel.send("m_1", self.refused, self.content("m_1", self.refused))
        if isinstance(caught.value, DeliveryError):
            assert not caught.value.retryable
            assert not caught.value.in_doubt
        assert self.refused not in str(caught.value)
        assert "m_1" not in arrived()

    def test_the_next_message_arrives_after_a_refusal(
        self, channel: Channel, arrived: Arrived
    ) -> None:
        with pytest.raises(DeliveryError):
            channel.send("m_1", self.refused, self.content("m_1", self.refused))
        channel.send("m_2", self.recipient, self.content("m_2", self.recipient))
        assert list(arrived()) == ["m_2"]

    def test_closing_twice_is_safe(self, channel: Channel) -> None:
        channel.send("m_1", self.recipient, self.content("m_1", self.recipient))
        channel.close()
        channel.close()
