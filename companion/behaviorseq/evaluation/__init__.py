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
from behaviorseq.evaluation.offpolicy import (
    cross_fitted_rewards,
    direct_method,
    doubly_robust,
    effective_rounds,
    ipw,
    snipw,
    tuned_shrinkage,
)
from behaviorseq.evaluation.offpolicy_intervals import (
    gamma_interval,
    normal_interval,
    resampled_interval,
)
from behaviorseq.evaluation.order import OrderTest, shuffle_test
from behaviorseq.evaluation.protocol import Evaluation, evaluate, self_information
from behaviorseq.evaluation.ranking import ranking_metrics
from behaviorseq.evaluation.regret import OnlineRun, growth_exponent, run_online
from behaviorseq.evaluation.significance import (
    Interval,
    PairedTest,
    bootstrap_interval,
    compare,
    paired_test,
)
from behaviorseq.evaluation.tasks import (
    expected_auc,
    expected_losses,
    task_auc,
    task_losses,
)

__all__ = [
    "Evaluation",
    "Interval",
    "OnlineRun",
    "OrderTest",
    "PairedTest",
    "auc_interval",
    "auc_test",
    "bootstrap_interval",
    "calibrated_lists",
    "category_mix",
    "compare",
    "cross_entropy",
    "cross_fitted_rewards",
    "direct_method",
    "doubly_robust",
    "effective_rounds",
    "evaluate",
    "expected_auc",
    "expected_losses",
    "gamma_interval",
    "growth_exponent",
    "history_distances",
    "history_marks",
    "ipw",
    "list_divergence",
    "mix_divergence",
    "nearest_overlap",
    "normal_interval",
    "paired_test",
    "ranking_metrics",
    "resampled_interval",
    "run_online",
    "self_information",
    "shared_runs",
    "shuffle_test",
    "snipw",
    "task_auc",
    "task_losses",
    "total_variation",
    "tuned_shrinkage",
]
