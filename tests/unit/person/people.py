"""A small real workspace with two similar customers whose identifiers are easy to search for."""

from __future__ import annotations

import atexit
import base64
import json
import shutil
import tempfile
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path

import msgspec
import pyarrow as pa

from zhiyin.app import Workspace
from zhiyin.core import columns as c
from zhiyin.core.clock import FrozenClock, naive_utc
from zhiyin.core.config import validate_settings
from zhiyin.core.decisions import Decided, Outcome, Place
from zhiyin.core.ledger import decision_requests, messages, reviews, steps, tasks, turns
from zhiyin.decide import online_job as points_job
from zhiyin.decide.points.check import parse
from zhiyin.decide.reviews.ledger import put
from zhiyin.decided import write_decided, write_outcomes
from zhiyin.points import Points
from zhiyin.store.recent import Touched
from zhiyin.understand.recommend import online_job

ANA, BEA = "kunde-zq81734", "kunde-zq81735"
NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)
AS_OF = date(2024, 6, 1)
OF_ANA = (
    ANA, "ana.zq81734@example.com", "+8613912345678", "13912345678", "Ana Zqsurname",
    "17 Zqstreet, Zqtown",
)  # fmt: skip
OF_BEA = (
    BEA, "bea.zq81735@example.com", "+8613912345679", "13912345679", "Bea Zqsurname",
    "18 Zqstreet, Zqtown",
)  # fmt: skip
MAPPING = """
source = "laden"
calling_code = "86"
{extra}
[columns]
{columns}
"""


def make_shop(folder: Path) -> Workspace:
    """Everything a person can leave: customers, orders, lines, touches, texts, refused rows,
    consents, messages with mails, and the tables of one day's jobs. A copy of the one loaded first.
    """
    shutil.copytree(_loaded().name, folder, dirs_exist_ok=True)
    shop = Workspace.open(folder / "shop", write=True)
    shop.clock = FrozenClock(NOW)
    return shop


@cache
def _loaded() -> tempfile.TemporaryDirectory[str]:
    """A folder with the shop, and its files; it goes with the process."""
    made = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
    folder = Path(made.name)
    settings = {
        "name": "laden", "currency": "EUR", "zone": "Europe/Berlin", "demo": False,
        "act": {"testers": ["boss@shop.example"]},
    }  # fmt: skip
    values = validate_settings(settings, where="test")
    files = folder / "files"
    files.mkdir()
    with Workspace.create(folder / "shop", values) as shop:
        shop.clock = FrozenClock(NOW)
        for number, (table, columns, rows) in enumerate(_tables()):
            path, mapping = files / f"{number}.csv", files / f"{number}.toml"
            path.write_text("\n".join(rows) + "\n", encoding="utf-8")
            mapping.write_text(MAPPING.format(extra="", columns=columns), encoding="utf-8")
            shop.load(table, path, mapping=mapping)
    atexit.register(made.cleanup)
    return made


def _tables():
    yield (
        "customers",
        'user_id = "id"\nemail = "mail"\nphone = "tel"\nlanguage = "lang"\nvalid_at = "since"',
        ["id,mail,tel,lang,since,customer_name,street",
         f'{ANA},{OF_ANA[1]},139-1234-5678,zh,2024-01-01,{OF_ANA[4]},"{OF_ANA[5]}"',
         f'{BEA},{OF_BEA[1]},139-1234-5679,en,2024-01-01,{OF_BEA[4]},"{OF_BEA[5]}"'],
    )  # fmt: skip
    yield (
        "products",
        'product_id = "sku"\nname = "title"\ncategory = "group"',
        ["sku,title,group", "p1,Tea,drinks", "p2,Bread,food"],
    )
    lines = ["order,item,who,at,sku,qty,paid,note"]
    for number in range(12):
        who = (ANA, BEA)[number % 2]
        day = f"2024-0{4 + number % 2}-1{number % 10}"
        for item in (1, 2):
            lines.append(
                f"{who}-{number},{item},{who},{day} 10:00,p{item},1,{number}.5{item},for {who}"
            )
    lines.append(f"bad-1,1,{ANA},someday,p1,1,1.00,for {ANA}")
    lines.append(f"bad-2,1,,2024-05-05 10:00,p1,many,1.00,call {OF_ANA[3]}")
    yield (
        "order_lines",
        'order_id = "order"\nline_id = "item"\nuser_id = "who"\nsold_at = "at"\n'
        'product_id = "sku"\nquantity = "qty"\namount = "paid"',
        lines,
    )
    touches = ["ref,who,at,kind,campaign"]
    touches += [
        f"t-{who}-{n},{who},2024-05-0{n} 09:00,sent,k1" for who in (ANA, BEA) for n in (1, 2)
    ]
    yield (
        "touches",
        'touch_id = "ref"\nuser_id = "who"\noccurred_at = "at"\nkind = "kind"\n'
        'campaign_id = "campaign"',
        touches,
    )
    yield (
        "texts",
        'user_id = "who"\noccurred_at = "at"\nbody = "said"',
        ["who,at,said", f"{ANA},2024-05-03 10:00,I am {OF_ANA[4]} and like tea",
         f"{BEA},2024-05-03 10:00,I am {OF_BEA[4]} and like bread"],
    )  # fmt: skip
    yield (
        "consents",
        'user_id = "who"\ngranted = "yes"\nat = "at"\nchannel = "via"',
        ["who,yes,at,via", f"{ANA},yes,2024-01-02 09:00,email", f"{BEA},no,2024-01-02 09:00,email"],
    )


def party_of(shop: Workspace, user: str) -> str:
    """The party of a source's id."""
    return shop.vault.party_ids("user_id", [user])[0]


def add_messages(shop: Workspace) -> dict[str, str]:
    """A sent message to each of the two, with its mail in the outbox; user → message id."""
    made = {}
    for user, person in ((ANA, OF_ANA), (BEA, OF_BEA)):
        party = party_of(shop, user)
        made[user] = f"m_{user.removeprefix('kunde-')}"
        content = shop.vault.seal([party], [{"to": person[1], "name": person[4]}])[0]
        row = {
            "message_id": made[user], "campaign_id": "laden:k1", "turn_id": "t", "channel": "email",
            "party_id": party, "customer_id": party, "decision_id": f"d_{party}", "language": "en",
            "state": "sent" if user == ANA else "skipped",
            "reason": None if user == ANA else "consent_refused",
            "planned_at": naive_utc(NOW), "content": content, "receipt": f"<{made[user]}>",
        }  # fmt: skip
        with shop.store.begin() as connection:
            connection.execute(messages.insert().values(**row))
        body = base64.b64encode(f"Dear {person[4]}".encode()).decode()
        mail = (
            f"To: {person[1]}\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n"
            f"Content-Transfer-Encoding: base64\n\n{body}\n"
        )
        (shop.folder / "outbox" / f"{made[user]}.eml").write_text(mail, encoding="utf-8")
    preview = {"to": [OF_ANA[1], OF_BEA[1]]}
    (shop.folder / "outbox" / "preview.json").write_text(json.dumps(preview), encoding="utf-8")
    return made


def add_task(shop: Workspace, message_id: str) -> None:
    """A call to Ana that a member of staff has made, and noted something of."""
    party = party_of(shop, ANA)
    noted, content = shop.vault.seal([party] * 2, [{"text": f"{OF_ANA[4]} asks"}, {"scores": []}])
    row = {
        "message_id": message_id, "party_id": party, "campaign": "calls", "store_id": "laden:s1",
        "state": "done", "put_at": naive_utc(NOW), "until": naive_utc(NOW), "tries": 1,
        "answered_by": "Bo", "answered_at": naive_utc(NOW), "content": content, "note": noted,
    }  # fmt: skip
    with shop.store.begin() as connection:
        connection.execute(tasks.insert().values(**row))


def add_derived(shop: Workspace) -> None:
    """What one day's jobs write about the two: features, tags, groups, scores, decisions."""
    store = shop.store
    for table, rows in _derived(shop).items():
        store.replace(table, pa.Table.from_pylist(rows), scope={c.AS_OF_ON: AS_OF})
    with store.begin() as connection:
        connection.execute(
            turns.insert().values(
                turn_id="t", as_of_on=AS_OF, state="done", inputs={}, code_version="0",
                config=shop.settings.model_dump(mode="json"), started_at=naive_utc(NOW),
            )
        )  # fmt: skip
        examples = ["m_zq81734", f"d_{party_of(shop, ANA)}", party_of(shop, ANA), "m_zq81735"]
        report = {"job": "act", "figures": {"examples": examples}}
        connection.execute(
            steps.insert().values(turn_id="t", job="act", state="done", report=report)
        )


def add_online(shop: Workspace) -> None:
    """What requests look up of the two."""
    few = shop.settings.understand.model_copy(update={"recommend_min_buyers": 1})
    online_job.run(shop.context(AS_OF), few)
    at = NOW.timestamp()
    rows = [Touched(party_of(shop, user), "laden:p2", False, at) for user in (ANA, BEA)]
    shop.store.online.recent.put(rows, now=at)


def add_point(shop: Workspace) -> tuple[str, ...]:
    """A decision point, choices at it about the two, an outcome of each; ids of those of Ana."""
    Points(shop.store, shop.clock).put(
        parse({"key": "home", "default": "none", "features": ["recency_days"],
               "actions": [{"name": "none"}, {"name": "letter", "channel": "email"}]}), by="Ana",
    )  # fmt: skip
    at, ids = int(NOW.timestamp() * 1e6), []
    for number, user in enumerate((ANA, BEA)):
        party, mark = party_of(shop, user), f"{number + 1}" * 32
        places = tuple(Place(one, ("none", "letter"), 0.5, False) for one in ("none", "letter"))
        made = Decided(
            f"d_{mark}", at, "home", places, "by_policy", "linear_thompson", "v", 1, party, party,
            ("recency_days",), (17.0,), True,
        )  # fmt: skip
        write_decided(shop.store, f"u{number}", [msgspec.msgpack.encode(made)])
        waits = msgspec.structs.replace(made, sent="large", until_us=at + 1, proposed="letter")
        (note,) = shop.vault.seal([party], [{"text": f"{(OF_ANA, OF_BEA)[number][4]} marries"}])
        with shop.store.begin() as connection:
            put(connection, [waits])
            mine = reviews.c.decision_id == made.decision_id
            connection.execute(reviews.update().where(mine).values(note=note))
            connection.execute(decision_requests.insert().values(
                decision_id=f"d_j{number}", journey="best", version=1, step="choose", entry_id=1,
                party_id=party, asked_s=at // 1_000_000, eligible=["none", "letter"], explore=0.05,
                point="home", reason="by_policy", until_s=0, settle_s=0,
                decided=msgspec.to_builtins(made),
            ))  # fmt: skip
        # of the first nothing says whose it is but the decision
        came = Outcome(f"o_{mark}", at, at, "purchase", f"d_{mark}", "letter", "", 100, "EUR")
        write_outcomes(
            shop.store, f"u{number}", [msgspec.msgpack.encode(came)], currency="EUR", now=NOW
        )
        ids.append((f"d_{mark}", f"d_{mark}.2", f"o_{mark}"))
    points_job.run(shop.context(AS_OF), shop.settings.decide)
    return ids[0]


def _derived(shop: Workspace) -> dict[str, list[dict]]:
    made: dict[str, list[dict]] = {
        name: []
        for name in ("features", "tags", "memberships", "scores", "recommendations", "decisions")
    }
    for rank, (user, recency) in enumerate(((ANA, 17), (BEA, 3)), start=1):
        who = {c.AS_OF_ON: AS_OF, c.CUSTOMER_ID: party_of(shop, user)}
        made["features"].append({**who, "recency_days": recency, "orders_count": 6})
        made["tags"].append({**who, c.TAG: "regular", c.VALUE: "25", c.KIND: "rule", c.VERSION: 1})
        made["memberships"].append({**who, c.SCHEME: "rfm", c.SEGMENT: "champions"})
        reasons = [{"feature": "recency_days", "value": recency, "effect": 0.5 - rank}]
        made["scores"].append(
            {
                **who,
                c.TASK: "response",
                c.SUBJECT: "laden:k1",
                c.SCORE: 0.4 / rank,
                c.RANK: rank,
                c.EXPECTED_PROFIT_MINOR: 120.0,
                c.MODEL: "logistic",
                c.MODEL_VERSION: "v",
                c.REASONS: json.dumps(reasons),
            }
        )
        of_value = {
            c.SUBJECT: "",
            c.RANK: rank,
            c.MODEL: "m",
            c.MODEL_VERSION: "v",
            c.REASONS: "[]",
        }
        for task, score in (("p_alive", 0.912), ("expected_purchases", 3.456), ("value", 98_765.0)):
            profit = score if task == "value" else None
            made["scores"].append(
                {**who, **of_value, c.TASK: task, c.SCORE: score, c.EXPECTED_PROFIT_MINOR: profit}
            )
        made["recommendations"].append(
            {
                **who,
                c.RANK: 1,
                c.PRODUCT_ID: "laden:p1",
                c.SCORE: 1.0,
                c.MODEL: "ease",
                c.REASON: json.dumps({"kind": "because", "products": [{"product_id": "laden:p2"}]}),
            }
        )
        held = user == BEA
        made["decisions"].append({
            **who, c.DECISION_ID: f"d_{who[c.CUSTOMER_ID]}", c.TURN_ID: "t",
            c.CAMPAIGN_ID: "laden:k1", c.PARTY_ID: who[c.CUSTOMER_ID],
            c.DECIDED_AT: naive_utc(NOW), c.MONTH: "2024-06", c.ELIGIBLE: '["contact", "none"]',
            c.ACTION: "none" if held else "contact", c.ARM: "holdout" if held else "treat",
            c.PROPENSITY: 0.1 if held else 0.9, c.EXPLORED: False, c.POLICY: "profit",
            c.POLICY_VERSION: "1", c.REASON: "held_out" if held else "best_expected_profit",
        })  # fmt: skip
    return made
