"""DKIM as mailbox providers check it: an independent library verifies what was signed."""

import base64

import dkim
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from tests.unit.act.shop import opened
from zhiyin.act.channels.dkim import open_dkim, relaxed_body, relaxed_headers
from zhiyin.act.channels.sink import HOST, SinkServer
from zhiyin.act.channels.smtp import open_smtp
from zhiyin.core.config import ActSettings
from zhiyin.core.errors import ConfigError
from zhiyin.testing.channel_contract import RECIPIENT, SENDER, an_email

RSA = rsa.generate_private_key(65537, 2048)
KEYS = {"rsa": RSA, "ed25519": ed25519.Ed25519PrivateKey.generate()}


def keep(folder, key, *, mode=0o600):
    """The settings of a shop whose key lies in `folder`."""
    path = folder / "dkim.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )  # fmt: skip
    path.chmod(mode)
    return ActSettings(
        sender_address=SENDER, dkim_domain="shop.example", dkim_selector="s1",
        dkim_key_file="dkim.pem",
    )  # fmt: skip


def verified(content, signer):
    """What a mailbox provider says that finds the signer's record in the DNS."""
    name, text = signer.dns_record()
    zone = {f"{name}.".encode(): text.encode()}
    return dkim.verify(content, dnsfunc=lambda asked, timeout=5: zone.get(asked))


@pytest.fixture(params=sorted(KEYS))
def signer(request, tmp_path):
    return open_dkim(keep(tmp_path, KEYS[request.param]), tmp_path)


BODIES = {
    "plain": b"Hello\r\n",
    "empty": b"",
    "blank lines at the end": b"Hello\r\n\r\n\r\n",
    "no line end": b"Hello",
    "spaces and tabs": b"a \t b  \r\n\t\r\n  c\t\r\n \r\n",
    "dots": b".\r\n..\r\n",
    "Chinese": "知音\r\n".encode(),
}


@pytest.mark.parametrize("body", BODIES.values(), ids=list(BODIES))
def test_a_signed_email_verifies(signer, body):
    head = an_email("m_1", text="知音 " * 40).partition(b"\r\n\r\n")[0]
    assert verified(signer.sign(head + b"\r\n\r\n" + body), signer)


def test_what_is_signed_cannot_be_changed_on_the_way(signer):
    signed = signer.sign(an_email("m_1"))
    assert verified(signed, signer)
    for old, new in (
        (b"Hello", b"Hullo"),
        (b"One-Click", b"Two-Click"),  # RFC 8058: both unsubscribe headers are signed
        (b"/u/token", b"/u/other"),
        (b"Subject: News", b"Subject: Sale"),
        (b"\r\nSubject:", b"\r\nSubject: Sale\r\nSubject:"),
        (b"\r\nFrom:", b"\r\nFrom: thief@bank.example\r\nFrom:"),
    ):
        assert old in signed
        assert not verified(signed.replace(old, new, 1), signer), old


def test_space_that_servers_change_does_not_break_a_signature(signer):
    signed = signer.sign(an_email("m_1"))
    changed = signed.replace(b"Subject: News", b"Subject:   News ") + b"\r\n\r\n"
    assert verified(changed, signer)


def test_the_examples_of_the_standard():
    """RFC 6376, 3.4.5."""
    assert relaxed_headers(b"A: X\r\nB : Y\t\r\n\tZ  ") == {b"a": b"X", b"b": b"Y Z"}
    assert relaxed_body(b" C \r\nD \t E\r\n\r\n\r\n") == b" C\r\nD E\r\n"


def test_smtp_signs_what_it_hands_over(tmp_path):
    settings = keep(tmp_path, RSA)
    outbox = tmp_path / "outbox"
    with SinkServer(outbox) as server:
        port = {"smtp_host": HOST, "smtp_port": server.port}
        channel = open_smtp(settings.model_copy(update=port), folder=tmp_path)
        channel.send("m_1", RECIPIENT, an_email("m_1"))
        channel.close()
    kept = (outbox / "m_1.eml").read_bytes()
    assert kept.endswith(an_email("m_1"))
    assert verified(kept, open_dkim(settings, tmp_path))
    assert "d=shop.example; s=s1;" in opened(kept)["DKIM-Signature"]


def test_the_record_holds_the_public_key(tmp_path):
    name, text = open_dkim(keep(tmp_path, RSA), tmp_path).dns_record()
    assert name == "s1._domainkey.shop.example"
    start, _, public = text.rpartition("p=")
    assert start == "v=DKIM1; k=rsa; "
    assert serialization.load_der_public_key(base64.b64decode(public)) == RSA.public_key()


def test_without_a_domain_nothing_is_signed(tmp_path):
    assert open_dkim(ActSettings(), tmp_path) is None


@pytest.mark.parametrize(
    ("key", "mode", "changes", "said"),
    [
        (RSA, 0o640, {}, "mode 640"),
        (RSA, 0o600, {"dkim_key_file": "none.pem"}, "cannot be read"),
        (RSA, 0o600, {"dkim_domain": "other.example"}, "is not the domain"),
        (ec.generate_private_key(ec.SECP256R1()), 0o600, {}, "neither RSA"),
    ],
)
def test_a_key_that_cannot_sign_for_the_sender_is_refused(tmp_path, key, mode, changes, said):
    settings = keep(tmp_path, key, mode=mode).model_copy(update=changes)
    with pytest.raises(ConfigError, match=said):
        open_dkim(settings, tmp_path)


def test_a_file_without_a_key_is_refused(tmp_path):
    settings = keep(tmp_path, RSA)
    (tmp_path / "dkim.pem").write_text("no key")
    with pytest.raises(ConfigError, match="no private key"):
        open_dkim(settings, tmp_path)


def test_a_subdomain_may_send(tmp_path):
    settings = keep(tmp_path, RSA).model_copy(update={"sender_address": "a@news.Shop.example"})
    assert open_dkim(settings, tmp_path) is not None
