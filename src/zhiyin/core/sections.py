"""The sections of a workspace's settings; `core.config` reads and checks them.

A description here is the one in the reference and in a new workspace's `zhiyin.toml`.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

CHATS = ("wecom", "wechat_subscribe")
"""Channels that are a way of their own to reach people."""
PROTECTED = (
    "age", "sex", "gender", "birthday", "nationality", "ethnicity", "race", "religion", "health",
    "disability", "年龄", "性别", "生日", "国籍", "民族", "宗教", "健康",
)  # fmt: skip
WECHAT_PARAM = r"^[a-z_]+\d+=(shop|name|offer|day)$"
Candidate = Literal["logistic", "tree", "svm", "linear_svm", "forest", "boosting", "network"]


def medium_of(channel: str) -> str:
    """What a channel reaches people by: `sms` where its name ends so, itself where it is one of
    WeChat's, otherwise `email`."""
    if channel in CHATS:
        return channel
    return "sms" if channel.endswith("_sms") else "email"


class Section(BaseModel):
    """A frozen part of the settings that refuses unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class RevenueSettings(Section):
    """What counts as revenue: paid, net of returns and discounts."""

    include_tax: bool = Field(default=False, description="count tax as revenue")
    include_shipping: bool = Field(default=False, description="count shipping and fees as revenue")


class IdentitySettings(Section):
    """Which records are one person."""

    country: str = Field(
        default="",
        pattern="^([A-Z]{2})?$",
        description="of phone numbers without a calling code, ISO 3166; empty: unknown",
    )
    emails: int = Field(default=5, ge=1, description="most e-mail addresses of one person")
    phones: int = Field(default=5, ge=1, description="most phone numbers of one person")
    devices: int = Field(default=20, ge=1, description="most devices of one person")
    anonymous_ids: int = Field(default=100, ge=1, description="most browsers of one person")
    cards: int = Field(default=5, ge=1, description="most loyalty cards of one person")
    parties_per_identifier: int = Field(
        default=5, ge=2, description="an identifier of more records (a till) joins nobody"
    )


class ProfileSettings(Section):
    """Features and tags."""

    history_campaigns: int = Field(
        default=40,
        ge=1,
        le=500,
        description="how many past campaigns get a feature snapshot for training",
    )
    purchase_snapshots: int = Field(
        default=3,
        ge=1,
        le=24,
        description="how many past days get a snapshot to train the purchase model",
    )
    incremental: bool = Field(
        default=True,
        description="make a day's features from those of a day before where that is the same",
    )
    incremental_from_lines: int = Field(
        default=5_000_000,
        ge=0,
        description="fewer order lines than this are computed anew: it takes no longer",
    )


class UnderstandSettings(Section):
    """Models, segments and recommendations."""

    tasks: tuple[Literal["next_purchase", "churn", "category_affinity"], ...] = Field(
        default=("next_purchase", "churn", "category_affinity"),
        description="predictions made of every customer, beside the response to campaigns",
    )
    purchase_horizon_days: int = Field(
        default=90, ge=1, le=1825, description="horizon of next purchase and category affinity"
    )
    churn_definition: Literal["purchases", "contractual"] = Field(
        default="purchases",
        description="churn is staying away from purchases, or a contract that ends (contractual)",
    )
    churn_horizon_days: int | None = Field(
        default=None,
        ge=1,
        le=1825,
        description="horizon of churn; none: from the shop's own gaps, or 30 for contracts",
    )
    affinity_categories: int = Field(
        default=2, ge=0, le=50, description="how many top categories get an affinity"
    )
    response_candidates: tuple[Candidate, ...] = Field(
        default=(),
        description="models compared for the response to a campaign; empty: all, blends too",
    )
    candidates: tuple[Candidate, ...] = Field(
        default=("logistic", "tree", "boosting"),
        min_length=1,
        description="models compared for these predictions; more cost time",
    )
    attributes: bool = Field(
        default=True,
        description="learn from attributes of customers (city, income …), too; not from protected",
    )
    protected: tuple[str, ...] = Field(
        default=PROTECTED,
        description="features and customer attributes (sex, age …) that no prediction learns from; "
        "attributes give slices of the model card",
    )
    protected_allowed: tuple[Annotated[str, Field(pattern=r"^[^:]+:[^:]+:.*\S.*$")], ...] = Field(
        default=(),
        description="protected features let in after all, each as feature:person:reason",
    )
    promotion: Literal["auto", "approve"] = Field(
        default="auto",
        description="auto: a better model takes over by itself; approve: two persons promote it",
    )
    training_rows: int = Field(
        default=60_000, ge=1_000, description="most customers a prediction learns from"
    )
    min_positives: int = Field(default=100, ge=10, description="fewer positives give no model")
    value_months: int = Field(
        default=12, ge=1, le=120, description="months ahead that customer value looks"
    )
    value_discount: float = Field(
        default=0.01, ge=0, lt=1, description="what money to come loses per month, a fraction"
    )
    clusters_min: int = Field(
        default=3,
        ge=2,
        le=20,
        description="smallest k tried by K-means (2 says only: heavy or light)",
    )
    clusters_max: int = Field(default=8, ge=2, le=20, description="largest k tried by K-means")
    recommend_top: int = Field(
        default=20, ge=1, le=100, description="recommendations kept per customer"
    )
    recommend_check_on: date | None = Field(
        default=None,
        description="a past day to check recommendations on, with a fit apart that nothing reads",
    )
    recommend_min_buyers: int = Field(
        default=20, ge=1, description="buyers an item needs to be recommended"
    )


class DecideSettings(Section):
    """Whom to contact with what."""

    campaign: str = Field(
        default="", description="campaign to decide; empty: those that start on the day"
    )
    max_share: float = Field(
        default=0.30, gt=0, le=1, description="largest share of recipients contacted"
    )
    budget_minor: int | None = Field(
        default=None, ge=0, description="largest contact cost of one campaign; none: no limit"
    )
    margin_rate: float = Field(default=0.25, gt=0, le=1, description="margin as a share of revenue")
    contact_cost_minor: int = Field(
        default=50, ge=0, description="cost of one contact, minor units"
    )
    explore_share: float = Field(
        default=0.05, ge=0, lt=1, description="share of contacts chosen at random"
    )
    holdout_share: float = Field(
        default=0.10, ge=0, lt=1, description="share of the chosen who are held out"
    )
    count_caused: bool = Field(
        default=True, description="expected profit counts what earlier campaigns caused, by results"
    )


class ActSettings(Section):
    """Messages and channels."""

    channel: str = Field(
        default="", description="channel that `zhiyin send` uses; empty: none configured"
    )
    channels: tuple[str, ...] = Field(
        default=(),
        description="more channels, for campaigns and journeys on other media: aliyun_sms, wecom",
    )
    smtp_host: str = Field(default="", description="SMTP server; empty: no e-mail leaves")
    smtp_port: int = Field(default=587, ge=1, le=65535, description="its port")
    smtp_user: str = Field(
        default="", description="login; the password is ZHIYIN_SMTP_PASSWORD only"
    )
    webhook_url: str = Field(
        default="", description="https address that the channel `webhook` posts messages to"
    )
    hooks: dict[Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,47}$")], str] = Field(
        default={}, description="systems that journeys tell of their steps: name → https address"
    )
    webhook_private: bool = Field(
        default=False, description="it, and hooks, may be in your own network, and plain http"
    )
    webhook_timeout_s: float = Field(
        default=10.0, gt=0, le=120, description="how long its answer may take"
    )
    sms_sender: str = Field(
        default="", description="signature (签名) of text messages; of twilio_sms a number or MG…"
    )
    sms_template: str = Field(default="", description="template that a Chinese provider approved")
    sms_params: tuple[Literal["shop", "name", "offer", "day"], ...] = Field(
        default=("offer", "day"), description="what the template's variables are, in its order"
    )
    sms_app_id: str = Field(default="", description="SdkAppId, of tencent_sms")
    sms_segments: int = Field(
        default=2, ge=1, le=10, description="a text that costs more messages than this is not sent"
    )
    sms_cost: Decimal = Field(
        default=Decimal(0),
        ge=0,
        max_digits=12,
        decimal_places=6,
        description="what the provider charges for one message of a text, in the currency: 0.045",
    )
    calling_code: str = Field(
        default="",
        pattern=r"^[1-9]?\d{0,2}$",
        description="of phone numbers that were loaded without one: 86, 44, 1",
    )
    wecom_member: str = Field(
        default="",
        max_length=64,
        description="userid who confirms mass messages (企业微信) to customers without a "
        "follow_userid; empty: whoever has them as contacts",
    )
    wechat_app_id: str = Field(
        default="",
        pattern=r"^[A-Za-z0-9_.-]{0,64}$",
        description="AppID of the mini-programme; identifier_scope of its openids",
    )
    wechat_template: str = Field(default="", description="template id of its subscription messages")
    wechat_params: tuple[Annotated[str, Field(pattern=WECHAT_PARAM)], ...] = Field(
        default=("thing1=offer", "date2=day"),
        description="what the template's keywords are: shop, name, offer or day",
    )
    wechat_page: str = Field(default="", description="page that a message opens; empty: none")
    wechat_version: Literal["formal", "trial", "developer"] = Field(
        default="formal", description="which version of the mini-programme it opens"
    )
    messages_per_s: float | None = Field(
        default=None, gt=0, description="most messages a second the provider gets; none: no limit"
    )
    retry_tries: int = Field(
        default=6, ge=1, description="tries of a message that the provider does not take for now"
    )
    dkim_domain: str = Field(
        default="",
        pattern=r"^([a-z0-9-]+(\.[a-z0-9-]+)+)?$",
        description="domain that signs e-mails (DKIM), the sender's; empty: not signed",
    )
    dkim_selector: str = Field(
        default="zhiyin",
        pattern=r"^[a-z0-9-]+(\.[a-z0-9-]+)*$",
        description="selector of its key in the DNS",
    )
    dkim_key_file: str = Field(
        default="keys/dkim.pem", description="private key, PEM, mode 600; from the workspace folder"
    )
    sender_name: str = Field(default="", description="shown sender; empty: the workspace's name")
    sender_address: str = Field(default="", description="sender address")
    postal_address: str = Field(default="", description="postal address shown in each e-mail")
    public_url: str = Field(default="https://example.invalid", description="where links lead")
    bounce_address: str = Field(
        default="",
        pattern=r"^([^@\s+]+@[^@\s]+)?$",
        description="where bounces go, as NAME+MESSAGE@DOMAIN; empty: to the sender's address",
    )
    soft_bounces: int = Field(
        default=5, ge=1, description="so many bounces for now in a row suppress an address"
    )
    track_links: bool = Field(
        default=True, description="links in e-mails tell that they were followed"
    )
    track_opens: bool = Field(
        default=False, description="an invisible picture tells that an e-mail was opened"
    )
    utm_source: str = Field(
        default="zhiyin", description="utm_source of links that have none; empty: not added"
    )
    utm_medium: str = Field(
        default="email", description="utm_medium of links that have none; empty: not added"
    )
    utm_campaign: str = Field(
        default="{campaign}",
        description="utm_campaign of links that have none; {campaign} is its id; empty: not added",
    )
    quiet_from_hour: int = Field(
        default=21, ge=0, le=23, description="quiet hours begin, local hour"
    )
    quiet_to_hour: int = Field(default=8, ge=0, le=23, description="quiet hours end, local hour")
    cap_messages: int = Field(
        default=4, ge=1, description="most marketing messages a person gets in the window"
    )
    cap_days: int = Field(default=30, ge=1, description="length of that window, days")
    caps: tuple[Annotated[str, Field(pattern=r"^[a-z_]+:[1-9]\d*/[1-9]\d*d$")], ...] = Field(
        default=(), description="more caps: email:2/7d; campaign:3/30d is one of each campaign"
    )
    fatigue_messages: int = Field(
        default=10, ge=0, description="so many without an answer in a row make a pause; 0: never"
    )
    fatigue_days: int = Field(default=60, ge=1, description="length of that pause, days")
    minimum_age: int = Field(
        default=18, ge=0, le=99, description="who is known to be younger gets no marketing"
    )
    sensitive: tuple[Annotated[str, Field(pattern="^(tag|segment|audience):.+$")], ...] = Field(
        default=(), description="tag:NAME[=VALUE], segment:SCHEME:SEGMENT, audience:NAME left out"
    )
    global_holdout_share: float = Field(
        default=0.0, ge=0, lt=1, description="share of all people who get no marketing at all"
    )
    second_person: bool = Field(
        default=False, description="a campaign starts only when another person has approved it"
    )
    testers: tuple[str, ...] = Field(
        default=(), description="addresses of staff that test messages may go to, of any channel"
    )
    alerts: str = Field(
        default="",
        description="where staff is told of what stopped, is done or is stuck: dingtalk; empty: "
        "nowhere",
    )
    alert_stuck_hours: int = Field(
        default=24, ge=1, description="who should have gone on in a journey so long ago is told of"
    )
    confirm_hours: int = Field(
        default=72, ge=1, le=720, description="how long a consent can be confirmed by its link"
    )

    @property
    def medium(self) -> str:
        """What the channel reaches people by."""
        return medium_of(self.channel)

    def channel_for(self, way: str) -> str:
        """The channel by which messages leave: the first that reaches people by `way`, or is
        called so; empty: none is configured."""
        held = (one for one in (self.channel, *self.channels) if one)
        return next((one for one in held if way in (one, medium_of(one))), "")


class MeasureSettings(Section):
    """What is looked at afterwards."""

    until: date | None = Field(
        default=None, description="last day looked at; none: end of the campaign or of the data"
    )
    bootstrap: int = Field(
        default=1000, ge=100, le=20000, description="bootstrap samples for intervals"
    )
    lookback_days: int = Field(
        default=120,
        ge=0,
        le=3650,
        description="how far back earlier days are measured until they settle",
    )


class SparkSettings(Section):
    """The engine Spark: read where `engine` is `spark`."""

    master: str = Field(
        default="local[*]", description="where it runs: local[*], spark://…, yarn, k8s://…"
    )
    driver_memory: str = Field(
        default="",
        pattern="^([1-9][0-9]*[mg])?$",
        description="of the process here, as 4g or 800m; empty: 40 % of the machine's, 1 to 16 GB",
    )
    shuffle_partitions: int | None = Field(
        default=None,
        ge=1,
        description="parts that rows are grouped in; none: two a core here, Spark's own elsewhere",
    )
    conf: tuple[Annotated[str, Field(pattern="^spark[.][^=]+=")], ...] = Field(
        default=(), description='further settings of Spark, as "spark.executor.memory=8g"'
    )

    @field_validator("conf", mode="before")
    @classmethod
    def _split(cls, conf: object) -> object:
        """A variable of the environment holds them with spaces in between."""
        return tuple(conf.split()) if isinstance(conf, str) else conf

    @property
    def options(self) -> dict[str, str]:
        """`conf` by name."""
        return dict(pair.split("=", 1) for pair in self.conf)
