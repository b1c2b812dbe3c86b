"""What is wrong or odd about a tracked event, in both languages."""

from __future__ import annotations

from zhiyin.core.errors import InvalidParameter

REASONS: dict[str, tuple[str, str]] = {
    "against_plan": ("the event does not fit its tracking plan", "事件不符合埋点方案"),
    "bad_frame": ("the journal's frame is no request", "日志帧不是一个请求"),
    "bad_json": ("the event is no JSON", "事件不是有效的 JSON"),
    "date_ahead": ("the event is over 24 hours ahead", "事件时间超前 24 小时以上"),
    "missing_identity": ("neither userId nor anonymousId is given", "缺少 userId 和 anonymousId"),
    "not_an_object": ("the event is no JSON object", "事件不是 JSON 对象"),
    "too_deep": ("the event is nested deeper than 32 levels", "事件嵌套超过 32 层"),
    "too_large": ("the event is larger than 32 KB", "事件超过 32 KB"),
    "too_long": ("an id has more than 256 characters", "标识超过 256 个字符"),
    "unknown_type": ("the event is none of track, identify, page, screen, group, alias",
                     "事件类型不是 track、identify、page、screen、group 或 alias"),
    "wrong_type": ("an id or the name is neither text nor a number",
                   "标识或名称既不是文本也不是数字"),
}  # fmt: skip
"""Why an event is refused: code → (en, zh)."""
FINDINGS: dict[str, tuple[str, str]] = {
    "bad_sent_at": ("sentAt cannot be read; the time is as sent", "sentAt 无法解析，时间按原样"),
    "bad_timestamp": ("the time cannot be read; it is that of receipt",
                      "时间无法解析，以接收时间为准"),
    "broken_text": ("text that is no Unicode was replaced", "非 Unicode 文本已替换"),
    "missing_event_name": ("a track event has no name", "track 事件没有名称"),
    "missing_message_id": ("no messageId: known by its content", "没有 messageId，以内容去重"),
    "missing_order_id": ("an order event names no order", "订单事件没有订单号"),
    "missing_product_id": ("a product has no id", "商品没有编号"),
    "missing_review_body": ("a review has no text", "评价没有文本"),
    "no_products": ("a list, cart or checkout without products", "列表、购物车或结算中没有商品"),
    "no_rate": ("no exchange rate for the value", "金额没有可用汇率"),
    "not_a_number": ("NaN or infinity became empty", "NaN 或无穷大已置空"),
    "number_id": ("an id was a number and became text", "标识是数字，已转为文本"),
    "personal_value": ("a personal value was masked", "个人信息已脱敏"),
    "placeholder_id": ("an id like null or undefined was ignored",
                       "null、undefined 之类的标识已忽略"),
    "plan": ("it does not fit the tracking plan", "不符合埋点方案"),
    "unknown_consent_category": ("a consent category is not known", "未知的同意类别"),
    "unknown_currency": ("the currency is no code of ISO 4217", "货币不是 ISO 4217 代码"),
    "wrong_type": ("a part of the event has the wrong type", "事件某部分类型不对"),
    "wrong_value": ("the value is no amount", "金额无法解析"),
}  # fmt: skip
"""What validation finds in events that are kept: code (before a colon and a name) → (en, zh)."""
PLAN: dict[str, tuple[str, str]] = {
    "additionalProperties": ("has a property that is not planned", "有未规划的属性"),
    "unevaluatedProperties": ("has a property that is not planned", "有未规划的属性"),
    "const": ("is not the planned value", "不是规划的值"),
    "enum": ("is none of the planned values", "不在规划的取值之内"),
    "exclusiveMaximum": ("is too large", "过大"),
    "exclusiveMinimum": ("is too small", "过小"),
    "format": ("has another format", "格式不对"),
    "maxItems": ("has too many entries", "条目过多"),
    "maxLength": ("is too long", "过长"),
    "maximum": ("is too large", "过大"),
    "minItems": ("has too few entries", "条目过少"),
    "minLength": ("is too short", "过短"),
    "minimum": ("is too small", "过小"),
    "pattern": ("does not match the pattern", "不符合模式"),
    "required": ("is missing", "缺失"),
    "type": ("has the wrong type", "类型不对"),
    "uniqueItems": ("has an entry twice", "有重复条目"),
    "unreadable": ("cannot be checked", "无法校验"),
}
"""What a plan found at a property: keyword of JSON Schema → (en, zh)."""
LANGUAGES = ("en", "zh")


def say(code: str, language: str) -> str:
    """A reason or finding in words: `plan:price:type` → `price has the wrong type (plan)`.

    Parameters
    ----------
    language
        `en` or `zh`.

    Raises
    ------
    InvalidParameter
        If it is another.
    """
    if language not in LANGUAGES:
        raise InvalidParameter(f"there is no language {language!r}", hint=", ".join(LANGUAGES))
    at = LANGUAGES.index(language)
    head, _, rest = code.partition(":")
    if head == "plan" and rest:
        place, _, keyword = rest.rpartition(":")
        said = PLAN.get(keyword, (f"does not fit ({keyword})", f"不符合（{keyword}）"))[at]
        shown = ("properties", "属性")[at] if place == "*" else place
        return f"{shown} {said} (plan)" if at == 0 else f"{shown}：{said}（埋点方案）"
    pair = FINDINGS.get(head) or REASONS.get(head) or (head.replace("_", " "), head)
    return (
        f"{pair[at]}: {rest}" if rest and at == 0 else f"{pair[at]}：{rest}" if rest else pair[at]
    )
