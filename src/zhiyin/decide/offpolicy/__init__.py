"""Off-policy evaluation: what a policy would have earned, from the decisions of another one."""

from zhiyin.decide.offpolicy.evaluation import Estimate, compare, evaluate
from zhiyin.decide.offpolicy.log import DecisionLog, make_log
from zhiyin.decide.offpolicy.overlap import Overlap
from zhiyin.decide.offpolicy.propensities import Calibration, calibrate
from zhiyin.decide.offpolicy.reward import predict_rewards
from zhiyin.decide.offpolicy.sequences import SequenceLog, evaluate_sequences, make_sequences
from zhiyin.decide.offpolicy.verdict import Limit, LimitFound, Verdict, gate

__all__ = [
    "Calibration",
    "DecisionLog",
    "Estimate",
    "Limit",
    "LimitFound",
    "Overlap",
    "SequenceLog",
    "Verdict",
    "calibrate",
    "compare",
    "evaluate",
    "evaluate_sequences",
    "gate",
    "make_log",
    "make_sequences",
    "predict_rewards",
]
