"""How the jeweller's own files read: table and mapping of each. Tmall's reports are recognised."""

from __future__ import annotations

SOURCE = "zhiyin_jewellery"
_HEAD = f"""source = "{SOURCE}"
zone = "Asia/Shanghai"
currency = "CNY"
calling_code = "86"
"""
_LINE = """
product_id = "商品编码"
sold_at = "销售时间"
quantity = "数量"
gross = "应收金额"
discount = "优惠金额"
coupon = "券抵扣"
amount = "实收金额"
"""


def _mapping(table: str, columns: str, *, more: str = "") -> tuple[str, str]:
    return table, f'{_HEAD}table = "{table}"\n{more}\n[columns]\n{columns.strip()}\n'


MAPPINGS = {
    "商品": _mapping("products", """
product_id = "商品编码"
name = "商品名称"
department = "大类"
category = "品类"
brand = "品牌"
""", more="static = true"),
    "门店": _mapping("stores", """
store_id = "门店编号"
name = "门店名称"
city = "城市"
country = { constant = "CN" }
""", more="static = true"),
    "会员": _mapping("customers", """
user_id = "会员编号"
phone = "手机号"
email = "邮箱"
city = "城市"
country = { constant = "CN" }
language = { constant = "zh" }
time_zone = { constant = "Asia/Shanghai" }
valid_at = "入会时间"
""", more='personal = ["姓名", "生日"]\nproperties = ["纪念日月份", "开卡门店"]'),
    "营销同意": _mapping("consents", """
user_id = "会员编号"
channel = "渠道"
granted = "同意"
at = "时间"
purpose = { constant = "marketing" }
text_version = { constant = "simulated" }
"""),
    "门店销售": _mapping("order_lines", f"""
order_id = "单号"
user_id = "会员编号"
store_id = "门店编号"
{_LINE}
""", more='properties = ["克重", "当日金价"]'),
    "小程序订单": _mapping("order_lines", f"""
order_id = "单号"
phone = "手机号"
{_LINE}
""", more='properties = ["克重", "当日金价"]'),
    "活动": _mapping("campaigns", """
campaign_id = "活动编号"
name = "活动名称"
kind = "类型"
channel = { constant = "email" }
start_on = "开始日期"
end_on = "结束日期"
valid_at = "确定时间"
"""),
    "优惠": _mapping("offers", """
offer_id = "优惠编号"
campaign_id = "活动编号"
name = "优惠名称"
kind = "类型"
start_on = "开始日期"
end_on = "结束日期"
valid_at = "确定时间"
"""),
    "触达": _mapping("touches", """
touch_id = "触达编号"
user_id = "会员编号"
kind = "类型"
campaign_id = "活动编号"
offer_id = "优惠编号"
occurred_at = "时间"
channel = "渠道"
cost = "费用"
"""),
}  # fmt: skip
