"""Judging recommenders: ranking metrics, evaluation of a model, comparison of models."""

from behaviorseq.evaluation.binary import auc_interval, auc_test
from behaviorseq.evaluation.calibration import (
    calibrated_lists,
    category_mix,
    list_divergence,
    mix_divergence,
)
from behaviorseq.evaluation.generated import (
    history_distances,
    history_marks,
    nearest_overlap,
    shared_runs,
    total_variation,
)
from behaviorseq.evaluation.likelihood import cross_entropy
from behaviorseq.evaluation.order import OrderTest, shuffle_test
from behaviorseq.evaluation.protocol import Evaluation, evaluate, self_information
from behaviorseq.evaluation.ranking import ranking_metrics
from behaviorseq.evaluation.significance import (
    Interval,
    PairedTest,
    bootstrap_interval,
    compare,
    paired_test,
)

__all__ = [
    "Evaluation",
    "Interval",
    "OrderTest",
    "PairedTest",
    "auc_interval",
    "auc_test",
    "bootstrap_interval",
    "calibrated_lists",
    "category_mix",
    "compare",
    "cross_entropy",
    "evaluate",
    "history_distances",
    "history_marks",
    "list_divergence",
    "mix_divergence",
    "nearest_overlap",
    "paired_test",
    "ranking_metrics",
    "self_information",
    "shared_runs",
    "shuffle_test",
    "total_variation",
]
