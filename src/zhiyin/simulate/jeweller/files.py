"""The jeweller's days as files of its systems: CSV with Chinese headers, and mappings.

Stores and members, store sales, orders of the mini-programme, Tmall's two reports (which are
recognised as such), campaigns, touches and consents. Nobody in them is real: names are made of a
few syllables, e-mail addresses are on a reserved domain, phone numbers on a prefix that no
operator gives out (154).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from zhiyin.core.rng import Streams
from zhiyin.simulate.hidden import Ints
from zhiyin.simulate.jeweller.goods import CATEGORIES, Goods, draw_goods
from zhiyin.simulate.jeweller.life import (
    OPENED,
    Campaign,
    Life,
    day_of,
    find_campaign,
    first_day,
)
from zhiyin.simulate.jeweller.mappings import MAPPINGS, SOURCE

STORES, DAYS = 80, 3_000  # days for which gold has a price
CITIES = (
    "上海", "北京", "深圳", "广州", "杭州", "南京", "苏州", "武汉", "成都", "重庆", "西安", "长沙",
    "郑州", "青岛", "济南", "合肥", "福州", "厦门", "宁波", "无锡",
)  # fmt: skip
SURNAMES, GIVEN = (
    "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗",
    "婷敏静丽强磊洋艳勇军杰娟涛明超霞平刚桂兰",
)
WAYS = ("store", "tmall", "mini")
CHANNELS = ("email", "sms", "wechat")
DISCOUNTS = np.array([0.0, 0.0, 0.05, 0.08])
COUPON = 0.06
PLANNED_AT, SENT_AT, LEFT_AT = timedelta(hours=-12), timedelta(hours=10), timedelta(hours=20)


@dataclass(frozen=True)
class Load:
    """A file to be loaded, in its order: into `table` by `mapping`, or by whoever recognises it."""

    path: Path
    table: str = ""
    mapping: Path | None = None


@dataclass(frozen=True, eq=False)
class Book:
    """What files need beside the life: goods; of each customer her store, ways and birthday."""

    goods: Goods
    store: Ints
    city: Ints
    ways: np.ndarray
    birthday: list[str]
    names: list[str]

    @classmethod
    def of(cls, life: Life) -> Book:
        """Drawn once for a seed and size."""
        streams, n = Streams(life.seed), life.customers
        rng = streams.generator("jeweller.book")
        busy = 1 / np.arange(1, STORES + 1) ** 0.6
        store = rng.choice(STORES, size=n, p=busy / busy.sum())
        ways = rng.dirichlet((1.4, 0.4, 0.3), size=n)
        months = life.shop.hidden.occasions[:, 0] + 1
        days, years = rng.integers(1, 29, n), rng.integers(1960, 2004, n)
        birthday = [
            f"{year}-{month:02d}-{day:02d}"
            for year, month, day in zip(years, months, days, strict=True)
        ]
        first, second, third = rng.integers(20, size=(3, n))
        names = [
            SURNAMES[a] + GIVEN[b] + (GIVEN[c] if c % 2 else "")
            for a, b, c in zip(first, second, third, strict=True)
        ]
        goods = draw_goods(DAYS, median=life.shop.preset.basket, streams=streams)
        return cls(goods, store, store % len(CITIES), ways, birthday, names)


def write_files(life: Life, folder: Path, start: date, end: date) -> list[Load]:
    """Write what happened on days [start, end) as files into `folder`; how they are loaded.

    A campaign that starts on `end` is known with its list; nobody was contacted for it yet.
    """
    folder.mkdir(parents=True, exist_ok=True)
    book, span = Book.of(life), (day_of(start), day_of(end))
    tables: dict[str, pd.DataFrame] = {}
    if start <= first_day(0):
        tables |= {"商品": _goods(book), "门店": _stores(), "金价": _gold(book, span[1])}
    tables |= {"会员": _members(life, book, span), "营销同意": _consents(life, span)}
    tables |= dict(_sales(life, book, span))
    tables |= dict(_campaigns(life, span))
    tables["触达"] = _touches(life, book, span)
    loads = []
    for name, rows in tables.items():
        path = folder / f"{name}.csv"
        rows.to_csv(path, index=False, encoding="utf-8")
        if not len(rows) or name == "金价":  # the price of the day stands on every line
            continue
        if name not in MAPPINGS:
            loads.append(Load(path))
            continue
        table, text = MAPPINGS[name]
        mapping = path.with_suffix(".toml")
        mapping.write_text(text, encoding="utf-8")
        loads.append(Load(path, table, mapping))
    return loads


def name_members(numbers: Ints) -> list[str]:
    """The jeweller's own ids of members."""
    return [f"V{number + 1:07d}" for number in numbers]


def _phones(numbers: Ints) -> list[str]:
    return [f"154{number + 10_000_000:08d}" for number in numbers]


def _moments(days: np.ndarray, minutes: np.ndarray) -> pd.Series:
    opened = np.datetime64(f"{OPENED}-01-01T00:00", "m")
    stamps = opened + days * np.timedelta64(1440, "m") + minutes.astype("timedelta64[m]")
    return pd.Series(stamps.astype("datetime64[s]")).dt.strftime("%Y-%m-%d %H:%M:%S")


def _money(values: np.ndarray) -> list[str]:
    return [f"{value:.2f}" for value in values]


def _goods(book: Book) -> pd.DataFrame:
    goods = book.goods
    return pd.DataFrame({
        "商品编码": _codes(np.arange(len(goods.names))), "商品名称": goods.names,
        "大类": np.where(goods.by_weight, "计价黄金", "一口价"),
        "品类": [CATEGORIES[one] for one in goods.category], "品牌": "知音",
    })  # fmt: skip


def _codes(products: Ints) -> list[str]:
    return [f"SP{one + 1:04d}" for one in products]


def _stores() -> pd.DataFrame:
    numbers = np.arange(STORES)
    city = [CITIES[one % len(CITIES)] for one in numbers]
    return pd.DataFrame({
        "门店编号": [f"MD{one + 1:03d}" for one in numbers], "城市": city,
        "门店名称": [f"{place}{one // len(CITIES) + 1}店" for one, place in enumerate(city)],
    })  # fmt: skip


def _gold(book: Book, end: int) -> pd.DataFrame:
    days = [(date(OPENED, 1, 1) + timedelta(one)).isoformat() for one in range(end)]
    return pd.DataFrame({"日期": days, "足金零售价（元/克）": book.goods.gold[:end]})


def _members(life: Life, book: Book, span: tuple[int, int]) -> pd.DataFrame:
    who = np.flatnonzero((life.joined >= span[0]) & (life.joined < span[1]))
    anniversary = life.shop.hidden.occasions[who, 1] + 1
    return pd.DataFrame({
        "会员编号": name_members(who), "手机号": _phones(who),
        "邮箱": [f"v{number + 1:07d}@shop.example" for number in who],
        "姓名": [book.names[one] for one in who], "生日": [book.birthday[one] for one in who],
        "纪念日月份": anniversary, "城市": [CITIES[one] for one in book.city[who]],
        "开卡门店": [f"MD{one + 1:03d}" for one in book.store[who]],
        "入会时间": _moments(life.joined[who], np.zeros(len(who))),
    })  # fmt: skip


def _consents(life: Life, span: tuple[int, int]) -> pd.DataFrame:
    who = np.flatnonzero((life.joined >= span[0]) & (life.joined < span[1]))
    given = {
        "会员编号": name_members(who), "同意": np.where(life.agreed[who], "是", "否"),
        "时间": _moments(life.joined[who], np.zeros(len(who))),
    }  # fmt: skip
    rows = [pd.DataFrame(given | {"渠道": channel}) for channel in CHANNELS]
    for month, left in enumerate(life.left):
        day = day_of(first_day(month))
        if span[0] <= day < span[1] and len(left):
            at = str(datetime.combine(first_day(month), datetime.min.time()) + LEFT_AT)
            gone = {"会员编号": name_members(left), "同意": "否", "时间": at}
            rows += [pd.DataFrame(gone | {"渠道": channel}) for channel in CHANNELS]
    return pd.concat(rows, ignore_index=True)[["会员编号", "渠道", "同意", "时间"]]


def _sales(life: Life, book: Book, span: tuple[int, int]) -> Iterator[tuple[str, pd.DataFrame]]:
    """Store sales, orders of the mini-programme, and Tmall's two reports."""
    told = _orders(life, book)
    told = told[(told["day"] >= span[0]) & (told["day"] < span[1])]
    store = told[told["way"] == 0]
    common = [
        "销售时间",
        "商品编码",
        "数量",
        "应收金额",
        "优惠金额",
        "券抵扣",
        "实收金额",
        "克重",
        "当日金价",
    ]
    yield "门店销售", store[["单号", "会员编号", "门店编号", *common]]
    yield "小程序订单", told[told["way"] == 2][["单号", "手机号", *common]]
    tmall = told[told["way"] == 1]
    nick = [f"tb{one[3:]}" for one in tmall["手机号"]]
    states = {"订单编号": tmall["单号"], "买家会员名": nick, "订单状态": "交易成功"}
    yield "天猫订单报表", pd.DataFrame({
        **states, "买家应付货款": tmall["实收金额"], "买家应付邮费": "0.00",
        "买家实付金额": tmall["实收金额"], "联系手机": tmall["手机号"],
        "收货人姓名": tmall["姓名"], "订单创建时间": tmall["销售时间"],
        "店铺名称": "知音珠宝旗舰店",
    })  # fmt: skip
    yield "天猫宝贝报表", pd.DataFrame({
        "主订单编号": tmall["单号"], "子订单编号": [f"{one}1" for one in tmall["单号"]],
        "买家会员名": nick,
        "商品标题": tmall["商品名称"], "商家编码": tmall["商品编码"], "商品价格": tmall["应收金额"],
        "购买数量": tmall["数量"], "买家实付金额": tmall["实收金额"], "退款金额": "0.00",
        "订单状态": "交易成功", "订单创建时间": tmall["销售时间"],
    })  # fmt: skip


def _orders(life: Life, book: Book) -> pd.DataFrame:
    """All orders so far, one line each, with every column that a file takes."""
    told, goods = life.table("orders"), book.goods
    rng, n = Streams(life.seed).generator("jeweller.lines"), len(told["day"])
    ways, pick, off = rng.random((3, n))  # in the order that orders came: later ones change nothing
    who, day = told["customer"], told["day"]
    way = (ways[:, None] > book.ways[who].cumsum(axis=1)[:, :-1]).sum(axis=1)
    product = goods.pick(told["category"], told["wanted"], day, pick)
    gross = goods.price_on(product, day)
    share = np.where(goods.by_weight[product], 0.0, DISCOUNTS[(off * 4).astype(np.int64)])
    discount = np.round(gross * share, 2)
    coupon = np.round((gross - discount) * COUPON * told["coupon"], 2)
    weighed = goods.by_weight[product]
    return pd.DataFrame({
        "day": day, "way": way, "customer": who, "minute": told["minute"],
        "coupon": told["coupon"], "gift": told["gift"],
        "单号": [f"{20_000 + d}{c:06d}{w}" for d, c, w in zip(day, who, way, strict=True)],
        "会员编号": name_members(who), "手机号": _phones(who),
        "姓名": [book.names[one] for one in who],
        "门店编号": [f"MD{one + 1:03d}" for one in book.store[who]],
        "销售时间": _moments(day, told["minute"]).to_numpy(),
        "商品编码": _codes(product), "商品名称": [goods.names[one] for one in product], "数量": 1,
        "应收金额": _money(gross), "优惠金额": _money(discount), "券抵扣": _money(coupon),
        "实收金额": _money(gross - discount - coupon),
        "克重": np.where(weighed, np.char.mod("%.2f", goods.grams[product]), ""),
        "当日金价": np.where(weighed, np.char.mod("%.0f", goods.gold[day]), ""),
    })  # fmt: skip


def _campaigns(life: Life, span: tuple[int, int]) -> Iterator[tuple[str, pd.DataFrame]]:
    """Campaigns that became known on the days, and their offers."""
    known = [one for one in map(find_campaign, range(len(life.left) + 1)) if one is not None]
    known = [one for one in known if span[0] < day_of(first_day(one.month)) <= span[1]]
    known = [one for one in known if one.campaign_id in life.planned]
    end = [(first_day(one.month + 1) - timedelta(1)).isoformat() for one in known]
    start = [first_day(one.month).isoformat() for one in known]
    at = [str(_planned_at(one)) for one in known]
    ids = [one.campaign_id for one in known]
    coupon = [_gives_coupon(life, one) for one in known]
    yield "活动", pd.DataFrame({
        "活动编号": ids, "活动名称": [one.name for one in known],
        "类型": ["券" if one else "礼品" for one in coupon], "开始日期": start, "结束日期": end,
        "确定时间": at,
    })  # fmt: skip
    yield "优惠", pd.DataFrame({
        "优惠编号": [f"{one}-q" for one in ids], "活动编号": ids,
        "优惠名称": ["工费立减，约合 94 折" if one else "到店礼：足银吊坠" for one in coupon],
        "类型": ["percent" if one else "gift" for one in coupon], "开始日期": start,
        "结束日期": end, "确定时间": at,
    })  # fmt: skip


def _planned_at(campaign: Campaign) -> datetime:
    return datetime.combine(first_day(campaign.month), datetime.min.time()) + PLANNED_AT


def _gives_coupon(life: Life, campaign: Campaign) -> bool:
    one = next(x for x in life.shop.preset.contacts if x.name == campaign.action)
    return one.given_away > 0


def _touches(life: Life, book: Book, span: tuple[int, int]) -> pd.DataFrame:
    """Plans, contacts and what was redeemed; greetings belong to no campaign."""
    parts, told = [], life.table("contacts")
    for campaign_id, who in life.planned.items():
        campaign = find_campaign((int(campaign_id[2:6]) - OPENED) * 12 + int(campaign_id[6:]) - 1)
        if campaign is not None and span[0] < day_of(first_day(campaign.month)) <= span[1]:
            parts.append(_touch("planned", who, campaign_id, str(_planned_at(campaign)), "0"))
    for month in range(len(life.left)):
        if not span[0] <= day_of(first_day(month)) < span[1]:
            continue
        campaign, mine = find_campaign(month), told["month"] == month
        at = str(datetime.combine(first_day(month), datetime.min.time()) + SENT_AT)
        costs = life.shop.preset.effects("cost")[told["action"][mine]]
        cost = [f"{one:.2f}" for one in costs]
        parts.append(_touch("sent", told["customer"][mine],
                            campaign.campaign_id if campaign else "", at, cost))  # fmt: skip
    orders = _orders(life, book)
    used = orders[(orders["coupon"] | orders["gift"])
                  & (orders["day"] >= span[0]) & (orders["day"] < span[1])]  # fmt: skip
    on = [date(OPENED, 1, 1) + timedelta(int(one)) for one in used["day"]]
    ids = [f"hd{one.year}{one.month:02d}" for one in on]
    parts.append(_touch("redemption", used["customer"].to_numpy(), ids,
                        used["销售时间"].tolist(), "0"))  # fmt: skip
    made = pd.concat([one for one in parts if len(one)] or parts[:1], ignore_index=True)
    made["触达编号"] = [
        f"{kind}-{who}-{at[:10]}"
        for kind, who, at in zip(made["类型"], made["会员编号"], made["时间"], strict=True)
    ]
    return made


def _touch(
    kind: str, who: Ints, campaign: str | list[str], at: str | list[str], cost: str | list[str]
) -> pd.DataFrame:
    offers = f"{campaign}-q" if isinstance(campaign, str) and campaign else ""
    given = offers if isinstance(campaign, str) else [f"{one}-q" for one in campaign]
    return pd.DataFrame({
        "会员编号": name_members(who), "类型": kind, "活动编号": campaign, "优惠编号": given,
        "时间": at, "渠道": "email", "费用": cost,
    })  # fmt: skip


__all__ = ["SOURCE", "Book", "Load", "name_members", "write_files"]
