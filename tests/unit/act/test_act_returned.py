"""Mails and events that come back find their message, once, and stop what cannot arrive."""

import base64
import hashlib
import hmac
import json
import mailbox
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from tests.unit.act.shop import CAMPAIGN
from zhiyin.act import job
from zhiyin.act.bounce_mail import read_bounce, read_mails
from zhiyin.act.links import sign_unsubscribe
from zhiyin.act.provider_events import read_events
from zhiyin.act.returned import Returned, severity, take_returned
from zhiyin.core.clock import naive_utc
from zhiyin.core.errors import DeliveryError, InputError, NotAuthenticated, NotFound
from zhiyin.core.ledger import consents, messages, reactions, suppressions
from zhiyin.govern.suppression import address_token
from zhiyin.testing.channel import RecordingChannel

NOW = datetime(2024, 3, 12, 13, tzinfo=UTC)
OURS = "m_" + "ab" * 16
REPORT = """\
From: Mail Delivery System <MAILER-DAEMON@mx.example>
To: {to}
Subject: Undelivered Mail Returned to Sender
MIME-Version: 1.0
Content-Type: multipart/report; report-type={kind}; boundary="b"

--b
Content-Type: text/plain

It did not arrive.

--b
{report}

--b
{original}

--b--
"""
STATUS = """\
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example

Final-Recipient: rfc822; somebody.else@example.com
Action: {action}
Status: {status}
Diagnostic-Code: smtp; 550 5.1.1 <somebody.else@example.com>: unknown"""
FEEDBACK = """\
Content-Type: message/feedback-report

Feedback-Type: {kind}
User-Agent: SomeGenerator/1.0
Version: 1"""
HEADERS = f"Content-Type: text/rfc822-headers\n\nMessage-ID: <{OURS}@shop.example>\nTo: a@b.example"
WHOLE = f"Content-Type: message/rfc822\n\nX-Zhiyin-Message-Id: {OURS}\nSubject: News\n\nHello"
NONE = "Content-Type: text/plain\n\nnothing"


def dsn(action="failed", status="5.1.1", original=HEADERS, to="hello@shop.example"):
    report = STATUS.format(action=action, status=status)
    return REPORT.format(kind="delivery-status", report=report, original=original, to=to).encode()


def arf(kind, original=WHOLE):
    report = FEEDBACK.format(kind=kind)
    return REPORT.format(
        kind="feedback-report", report=report, original=original, to="fbl@shop.example"
    ).encode()


@pytest.mark.parametrize(("mail", "expected"), [
    (dsn(), ("bounce", "5.1.1")), (dsn(original=WHOLE), ("bounce", "5.1.1")),
    (dsn(action="delayed", status="4.4.1"), ("delay", "4.4.1")),
    (dsn(action="Failed", status="4.2.2 (full)"), ("bounce", "4.2.2")),
    (dsn(action="failed", status=""), ("bounce", "5.1.1")),
    (arf("abuse"), ("complaint", "abuse")), (arf("opt-out"), ("unsubscribe", "opt-out")),
    (dsn(original=NONE, to=f"Bounces <bounces+{OURS}@shop.example>"), ("bounce", "5.1.1")),
])  # fmt: skip
def test_reports_name_their_message_and_what_happened(shop, mail, expected):
    found = read_bounce(mail, vault=shop.vault)
    assert found is not None
    assert (found.message_id, found.kind, found.status) == (OURS, *expected)


@pytest.mark.parametrize("mail", [
    b"", b"\xff\xfe not a mail", b"From: a@b\nSubject: out of office\n\nback on Monday",
    dsn(original=NONE), arf("not-spam"), dsn()[:300],
    b"Subject: unsubscribe " + OURS.encode() + b".00000000000000000000000000000000\n\n",
])  # fmt: skip
def test_what_is_no_report_of_ours_is_left_aside(shop, mail):
    assert read_bounce(mail, vault=shop.vault) is None


def test_a_mail_to_the_unsubscribe_address_counts_by_its_signed_subject(shop):
    mail = f"Subject: Unsubscribe {sign_unsubscribe(shop.vault, OURS)}\n\n".encode()
    found = read_bounce(mail, vault=shop.vault)
    assert found is not None
    assert (found.message_id, found.kind) == (OURS, "unsubscribe")


@pytest.mark.parametrize(("status", "hard", "expected"), [
    ("5.1.1", None, "hard"), ("4.2.1", None, "soft"), ("5.2.2", None, "soft"),
    ("5.3.4", None, "of_message"), ("5.7.1", None, "of_message"), ("", True, "hard"),
    ("", None, "soft"), ("4.4.1", True, "soft"), ("550", True, "hard"),
])  # fmt: skip
def test_a_bounce_weighs_what_its_code_says_of_the_address(status, hard, expected):
    assert severity(status, hard=hard) == expected


def add_sent(shop, *ids, address="t_ana"):
    with shop.store.begin() as connection:
        connection.execute(messages.insert(), [
            {"message_id": one, "campaign_id": "s:spring", "turn_id": "t", "party_id": "p_ana",
             "customer_id": "p_ana", "channel": "email", "language": "en", "state": "sent",
             "planned_at": naive_utc(NOW), "address_token": address,
             "sent_at": naive_utc(NOW) + timedelta(days=place)}
            for place, one in enumerate(ids)
        ])  # fmt: skip


def take(shop, *found, soft_bounces=3):
    with shop.store.begin() as connection:
        return dict(take_returned(connection, found, at=NOW, soft_bounces=soft_bounces))


def stopped(shop):
    with shop.store.begin() as connection:
        rows = connection.execute(sa.select(suppressions)).all()
    return {(row.token, row.channel): row.reason for row in rows}


def states(shop):
    with shop.store.begin() as connection:
        query = sa.select(messages.c.state, messages.c.reason).order_by(messages.c.message_id)
        return [tuple(row) for row in connection.execute(query)]


def test_a_hard_bounce_stops_the_address_at_once_and_a_repeat_changes_nothing(shop):
    add_sent(shop, "m_1")
    gone = Returned("m_1", "bounce", "k", "5.1.1")
    assert take(shop, gone, gone, Returned("m_x", "bounce", "k", "5.1.1")) == {
        "taken": 1, "repeated": 1, "unknown_message": 1,
    }  # fmt: skip
    assert states(shop) == [("failed", "bounced")]
    assert stopped(shop) == {("t_ana", "email"): "bounce"}


def test_soft_bounces_stop_an_address_only_in_a_row(shop):
    add_sent(shop, "m_1", "m_2", "m_3", "m_4", "m_5")
    soft = [Returned(f"m_{n}", "bounce", "k", "4.4.1") for n in (1, 3, 4, 5)]
    take(shop, *soft[:3])
    assert stopped(shop) == {}  # m_2 arrived
    take(shop, soft[3])
    assert stopped(shop) == {("t_ana", "email"): "bounce"}


def test_a_message_that_is_not_wanted_says_nothing_of_the_address(shop):
    add_sent(shop, "m_1", "m_2", "m_3")
    take(shop, *(Returned(f"m_{n}", "bounce", "k", "5.7.1") for n in (1, 2, 3)), soft_bounces=1)
    assert (stopped(shop), states(shop)[0]) == ({}, ("failed", "bounced_for_now"))


def test_a_complaint_stops_for_good_and_a_refusal_is_one_of_consent(shop):
    add_sent(shop, "m_1")
    add_sent(shop, "m_2", address="t_bea")
    take(shop, Returned("m_1", "complaint", "k"), Returned("m_2", "unsubscribe", "k"))
    assert stopped(shop) == {("t_ana", "email"): "complaint", ("t_bea", "email"): "unsubscribed"}
    with shop.store.begin() as connection:
        row = connection.execute(sa.select(consents)).one()
        kinds = connection.execute(sa.select(reactions.c.kind)).scalars().all()
    assert (row.party_id, row.purpose, row.granted) == ("p_ana", "marketing", False)
    assert kinds == ["complaint", "unsubscribe"]


def test_an_address_that_the_server_does_not_know_is_stopped_with_the_message(shop):
    shop.add("ana")
    shop.decide("ana")
    job.run(shop.context(), shop.settings.act)
    gone = DeliveryError("refused", no_such_address=True)
    channel = RecordingChannel(errors={0: gone})
    job.deliver(shop.context(channel), CAMPAIGN, progress=lambda *_: None)
    assert shop.state("ana") == ("failed", "bounced")
    address = address_token(shop.vault, "email", "ana@shop.example")
    assert stopped(shop) == {(address, "email"): "bounce"}


def test_mails_are_read_from_every_kind_of_place(tmp_path):
    one, two = dsn(), arf("abuse")
    (tmp_path / "one.eml").write_bytes(one)
    box = mailbox.mbox(tmp_path / "box")
    box.add(one)
    box.add(two)
    box.close()
    made = mailbox.Maildir(tmp_path / "dir")
    made.add(two)
    made.close()
    counts = [len(list(read_mails(tmp_path / name))) for name in ("one.eml", "box", "dir", "")]
    assert counts == [1, 2, 1, 3]
    with pytest.raises(InputError):
        list(read_mails(tmp_path / "none"))


EC = ec.generate_private_key(ec.SECP256R1())
RSA = rsa.generate_private_key(65537, 2048)
EC_PUBLIC = base64.b64encode(
    EC.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
).decode()
TOPIC = "arn:aws:sns:eu-west-1:123456789012:returns"


def sendgrid(*events, at=NOW, key=EC):
    body, stamp = json.dumps(events).encode(), str(int(at.timestamp()))
    signature = key.sign(stamp.encode() + body, ec.ECDSA(hashes.SHA256()))
    return {
        "x-twilio-email-event-webhook-signature": base64.b64encode(signature).decode(),
        "x-twilio-email-event-webhook-timestamp": stamp,
    }, body


def mailgun(event, key="key-1", at=NOW):
    stamp, token = str(int(at.timestamp())), "a" * 50
    made = hmac.new(key.encode(), f"{stamp}{token}".encode(), hashlib.sha256).hexdigest()
    signature = {"timestamp": stamp, "token": token, "signature": made}
    return {}, json.dumps({"signature": signature, "event-data": event}).encode()


def sns(message, key=RSA, **changes):
    values = {
        "Type": "Notification", "MessageId": "22b80b92", "TopicArn": TOPIC,
        "Message": json.dumps(message), "Timestamp": NOW.isoformat(), "SignatureVersion": "2",
        "SigningCertURL": "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-1.pem",
    } | changes  # fmt: skip
    names = ("Message", "MessageId", "Subject", "SubscribeURL", "Timestamp", "Token", "TopicArn")
    text = "".join(f"{name}\n{values[name]}\n" for name in (*names, "Type") if name in values)
    made = key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
    return {}, json.dumps(values | {"Signature": base64.b64encode(made).decode()}).encode()


def certificate():
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sns.amazonaws.com")])
    built = (
        x509.CertificateBuilder()
        .subject_name(name).issuer_name(name).public_key(RSA.public_key()).serial_number(1)
        .not_valid_before(NOW).not_valid_after(NOW + timedelta(days=9))
    )  # fmt: skip
    return built.sign(RSA, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


SECRETS = {"sendgrid": [EC_PUBLIC], "mailgun": ["old", "key-1"], "ses": [TOPIC]}
SENDGRID = {
    "email": "example@test.com", "timestamp": 1513299569, "smtp-id": f"<{OURS}@shop.example>",
    "event": "bounce", "category": ["cat facts"], "sg_event_id": "6g4ZI7SA-xmRDv57GoPIPw==",
    "sg_message_id": "14c5d75ce93.dfd.64b469.filter0001", "reason": "500 unknown recipient",
    "status": "5.0.0",
}  # fmt: skip
MAILGUN = {
    "id": "G9Bn5sl1TC6nu79C8C0bwg", "event": "failed", "severity": "permanent",
    "delivery-status": {"code": 605, "enhanced-code": "", "message": ""},
    "message": {"headers": {"message-id": f"{OURS}@shop.example"}}, "recipient": "alice@x.example",
}  # fmt: skip
SES_MAIL = {
    "messageId": "00000138111222aa-33322211", "source": "hello@shop.example",
    "headers": [{"name": "From", "value": "Shop"}, {"name": "X-Zhiyin-Message-Id", "value": OURS}],
}  # fmt: skip
SES_BOUNCE = {
    "notificationType": "Bounce", "mail": SES_MAIL, "bounce": {
        "bounceType": "Permanent", "bounceSubType": "General",
        "bouncedRecipients": [{"emailAddress": "jane@example.com", "status": "5.1.1"}]},
}  # fmt: skip


def events(provider, request, fetched=None):
    def fetch(url):
        if fetched is not None:
            fetched.append(url)
        return certificate()

    headers, body = request
    found = read_events(provider, headers, body, secrets=SECRETS[provider], now=NOW, fetch=fetch)
    return [(one.message_id, one.kind, one.status, one.hard) for one in found]


@pytest.mark.parametrize(("provider", "request_", "expected"), [
    ("sendgrid", sendgrid(SENDGRID), ("bounce", "5.0.0", True)),
    ("sendgrid", sendgrid(SENDGRID | {"type": "blocked", "status": ""}), ("bounce", "", False)),
    ("sendgrid", sendgrid(SENDGRID | {"event": "spamreport"}), ("complaint", "5.0.0", None)),
    ("mailgun", mailgun(MAILGUN), ("bounce", "", True)),
    ("mailgun", mailgun(MAILGUN | {"severity": "temporary"}), ("delay", "", False)),
    ("mailgun", mailgun(MAILGUN | {"event": "complained"}), ("complaint", "", None)),
    ("ses", sns(SES_BOUNCE), ("bounce", "5.1.1", True)),
    ("ses", sns({"eventType": "Complaint", "mail": SES_MAIL,
                 "complaint": {"complaintFeedbackType": "abuse"}}), ("complaint", "abuse", None)),
])  # fmt: skip
def test_events_of_providers_become_reports(provider, request_, expected):
    assert events(provider, request_) == [(OURS, *expected)]


def test_what_providers_count_themselves_is_left_aside():
    opened = [SENDGRID | {"event": one} for one in ("open", "click", "processed")]
    assert events("sendgrid", sendgrid(*opened)) == []
    assert events("mailgun", mailgun(MAILGUN | {"event": "opened"})) == []


OTHER_EC, LATE = ec.generate_private_key(ec.SECP256R1()), NOW - timedelta(minutes=6)


@pytest.mark.parametrize(("provider", "request_"), [
    ("sendgrid", sendgrid(SENDGRID, key=OTHER_EC)), ("sendgrid", sendgrid(SENDGRID, at=LATE)),
    ("sendgrid", ({}, b"[]")), ("mailgun", mailgun(MAILGUN, key="guessed")),
    ("mailgun", mailgun(MAILGUN, at=LATE)),
    ("ses", sns(SES_BOUNCE, key=rsa.generate_private_key(65537, 2048))),
    ("ses", sns(SES_BOUNCE, TopicArn="arn:aws:sns:eu-west-1:666:anybody")),
    ("ses", sns(SES_BOUNCE, SigningCertURL="https://evil.example/cert.pem")),
    ("ses", sns(SES_BOUNCE, SigningCertURL="http://sns.eu-west-1.amazonaws.com/cert.pem")),
    ("ses", sns(SES_BOUNCE, SigningCertURL="https://sns.eu-west-1.amazonaws.com@evil.example/c")),
])  # fmt: skip
def test_events_that_were_not_signed_by_the_provider_are_refused(provider, request_):
    with pytest.raises(NotAuthenticated):
        events(provider, request_)


def test_a_subscription_to_our_topic_is_confirmed_at_amazon_alone():
    wanted, fetched = "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription", []
    kind = {"Type": "SubscriptionConfirmation", "Token": "t", "SubscribeURL": wanted}
    assert events("ses", sns({}, **kind), fetched) == []
    assert fetched[-1] == wanted
    with pytest.raises(NotAuthenticated):
        events("ses", sns({}, **kind | {"SubscribeURL": "https://10.0.0.7/admin"}), fetched)


def test_an_event_that_cannot_be_read_and_a_provider_without_secret_are_refused():
    with pytest.raises(InputError):
        events("mailgun", ({}, b"[]"))
    with pytest.raises(NotFound):
        read_events("sendgrid", {}, b"", secrets=[], now=NOW, fetch=lambda _: b"")
