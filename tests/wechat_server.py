"""Servers of WeChat and of 企业微信 on this machine, for tests: the shapes that they document."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.receiver import Answer, Received, Receiver

TOKEN_S = 7200
SENT_S = 1_710_300_000  # when members confirm, seconds since 1970
SECRET = "a-secret"


class WechatServer:
    """Answers calls as told; a token is what it gave last."""

    def __init__(self) -> None:
        self.tokens = 0
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.queued: list[Answer] = []  # answers of the next calls, before the usual ones
        self.lost: set[str] = set()  # senders whose calls are done, and never answered
        self.token_answer: dict[str, Any] | None = None
        self.receiver = Receiver(self._answer)
        self.url = self.receiver.url.partition("/hook")[0]

    def close(self) -> None:
        self.receiver.close()

    def usual(self, name: str, values: Mapping[str, Any]) -> dict[str, Any]:
        """What a call is answered."""
        raise NotImplementedError

    def named(self, name: str) -> list[dict[str, Any]]:
        """What was asked of one interface."""
        return [values for one, values in self.calls if one == name]

    def _answer(self, received: Received) -> Answer:
        parts = urlsplit(received.path)
        name, query = parts.path.rpartition("/")[2], parse_qs(parts.query)
        if name in ("gettoken", "stable_token"):
            return self._token(received, query)
        if query.get("access_token") != [f"token-{self.tokens}"]:
            return say({"errcode": 40014, "errmsg": "invalid access_token"})
        self.calls.append((name, json.loads(received.body)))
        if self.queued:
            return self.queued.pop(0)
        answer = say(self.usual(name, self.calls[-1][1]))
        return Answer(hang_up=True) if self.calls[-1][1].get("sender") in self.lost else answer

    def _token(self, received: Received, query: Mapping[str, list[str]]) -> Answer:
        held = json.loads(received.body) if received.body else {}
        given = held.get("secret") or query.get("corpsecret", [""])[0]
        if given != SECRET:
            return say({"errcode": 40001, "errmsg": "invalid credential"})
        if self.token_answer is not None:
            return say(self.token_answer)
        self.tokens += 1
        return say({
            "errcode": 0, "errmsg": "ok", "access_token": f"token-{self.tokens}",
            "expires_in": TOKEN_S,
        })  # fmt: skip

    def __enter__(self) -> WechatServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class WecomServer(WechatServer):
    """Mass messages to customers. `contacts`: member → her customers."""

    def __init__(self, contacts: Mapping[str, tuple[str, ...]] | None = None) -> None:
        super().__init__()
        self.contacts = contacts
        self.refused: set[str] = set()
        self.made: dict[str, dict[str, Any]] = {}
        self.statuses: dict[tuple[str, str], int] = {}  # (msgid, external_userid) → status
        self.created_at = 0
        self.stopped: list[str] = []  # ids of what nobody need confirm any more

    def usual(self, name: str, values: Mapping[str, Any]) -> dict[str, Any]:
        if name == "add_msg_template":
            return self._add(values)
        if name == "get_groupmsg_list_v2":
            rows = [
                {"msgid": one, "creator": "", "create_time": self.created_at, "create_type": 0,
                 "text": made["text"]}
                for one, made in self.made.items()
            ]  # fmt: skip
            return {"errcode": 0, "next_cursor": "", "group_msg_list": rows}
        made = self.made[values["msgid"]]
        if name == "cancel_groupmsg_send":
            self.stopped.append(values["msgid"])
            return {"errcode": 0, "errmsg": "ok"}
        if name == "get_groupmsg_task":
            return {"errcode": 0, "next_cursor": "", "task_list": [
                {"userid": one, "status": 0} for one in self._members(made)]}  # fmt: skip
        assert name == "get_groupmsg_send_result"
        mine = self._of(values["userid"], made)
        start = int(values.get("cursor") or 0)
        page = mine[start : start + 2]  # small pages, so that cursors are followed
        rows = [self._row(values["msgid"], values["userid"], one) for one in page]
        more = str(start + 2) if start + 2 < len(mine) else ""
        return {"errcode": 0, "next_cursor": more, "send_list": rows}

    def _add(self, values: Mapping[str, Any]) -> dict[str, Any]:
        assert values["chat_type"] == "single"
        taken = [one for one in values["external_userid"] if one not in self.refused]
        failed = [one for one in values["external_userid"] if one in self.refused]
        if not taken:
            return {"errcode": 41048, "errmsg": "no customer to send"}
        msgid = f"msg{len(self.made) + 1}"
        self.made[msgid] = {**values, "external_userid": taken}
        return {"errcode": 0, "errmsg": "ok", "fail_list": failed, "msgid": msgid}

    def _members(self, made: Mapping[str, Any]) -> list[str]:
        return [made["sender"]] if made.get("sender") else sorted(self.contacts or {"zhang": ()})

    def _of(self, member: str, made: Mapping[str, Any]) -> list[str]:
        hers = (self.contacts or {}).get(member)
        return [one for one in made["external_userid"] if hers is None or one in hers]

    def _row(self, msgid: str, member: str, customer: str) -> dict[str, Any]:
        status = self.statuses.get((msgid, customer), 0)
        row = {"external_userid": customer, "userid": member, "status": status}
        return row | ({"send_time": SENT_S} if status == 1 else {})


def say(values: Mapping[str, Any], status: int = 200) -> Answer:
    """An answer in JSON."""
    return Answer(status, {"Content-Type": "application/json"}, body=json.dumps(values).encode())
