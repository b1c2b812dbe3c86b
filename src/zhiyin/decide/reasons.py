"""Why somebody was chosen or not, in words: code → (en, zh). The gate's own reasons included."""

from __future__ import annotations

from zhiyin.core.decisions import BY_LOT, RECOMMENDED, RECOMMENDED_TO_ALL
from zhiyin.govern import gate

BEST = "best_expected_profit"
BEST_RATE = "best_rate"
EXPLORED = "explored"
HELD_OUT = "held_out"  # words: of the gate
BELOW_CUT = "below_cut"
BUDGET = "budget"
NO_PROFIT = "no_expected_profit"
NO_CAUSED = "no_caused_profit"
NO_SCORE = "no_score"
ALREADY_CHOSEN = "already_chosen"
NOT_BEGUN, ENDED = "action_not_begun", "action_ended"
OUT_OF_STOCK = "out_of_stock"
NOT_FOR_HER = "action_not_for_her"
CONFLICT = "action_conflict"
CATEGORY_FULL = "category_full"

BY_POLICY = "by_policy"
DRAWN = (BY_POLICY, EXPLORED, HELD_OUT)
"""Reasons of choices at a point that were drawn, with their true chance."""
SENT_TO_PERSON = "sent_to_person"
UNKNOWN_POINT, POINT_PAUSED, NO_POLICY = "unknown_point", "point_paused", "no_policy"
NO_FEATURES, NOTHING_ELIGIBLE = "no_features", "nothing_eligible"
TOO_LATE, UNREADABLE = "too_late", "store_unreadable"

REASONS = {
    BEST: ("among the highest expected profits", "预期利润位居前列"),
    BEST_RATE: ("what earned the reward most often so far", "目前奖励率最高的动作"),
    EXPLORED: ("drawn at random, to keep learning", "随机抽取，用于持续学习"),
    BELOW_CUT: ("others have a higher expected profit", "其他客户的预期利润更高"),
    BUDGET: ("the budget is spent on higher expected profits", "预算已用于预期利润更高的客户"),
    NO_PROFIT: ("a contact would cost more than it is expected to earn", "联系成本高于预期收益"),
    NO_CAUSED: (
        "too little of what she would redeem is caused to pay for a contact",
        "预期核销中由活动带来的部分不足以抵偿联系成本",
    ),
    NO_SCORE: ("no model has a score for her", "没有模型评分"),
    ALREADY_CHOSEN: ("chosen for this campaign on an earlier day", "此前已被选入本次活动"),
    NOT_BEGUN: ("the action has not begun", "该动作尚未开始"),
    ENDED: ("the action has ended", "该动作已结束"),
    OUT_OF_STOCK: ("none are left", "已无库存"),
    NOT_FOR_HER: ("a condition of the action does not hold for her", "不满足该动作的条件"),
    CONFLICT: ("she has what does not go with it", "与其已有的动作冲突"),
    CATEGORY_FULL: ("she has as many of the category as one may", "该类别已达个人上限"),
    BY_POLICY: ("what the policy holds best", "策略认为最优的动作"),
    SENT_TO_PERSON: ("a person decides it; the default until then", "转人工审核，暂用默认动作"),
    UNKNOWN_POINT: ("there is no decision point of this name", "没有该名称的决策点"),
    POINT_PAUSED: ("the decision point is paused", "决策点已暂停"),
    NO_POLICY: ("the decision point has no policy yet", "决策点尚无策略"),
    NO_FEATURES: ("no turn has computed the numbers it needs", "尚未计算所需的特征"),
    NOTHING_ELIGIBLE: ("no action could be given", "没有可用的动作"),
    TOO_LATE: ("there was no time left to choose", "决策超时"),
    BY_LOT: ("drawn by lot for an experiment", "实验随机分流"),
    UNREADABLE: ("what is known could not be read", "暂时无法读取数据"),
    RECOMMENDED: ("made for her, on request", "按请求为其个性化推荐"),
    RECOMMENDED_TO_ALL: ("what everybody gets, on request", "按请求给出的非个性化推荐"),
    **gate.REASONS,
}
"""Every reason that a decision can have."""
