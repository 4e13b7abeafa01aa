"""Judging recommenders: ranking metrics, evaluation of a model, comparison of models."""

from behaviorseq.evaluation.binary import auc_interval, auc_test
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
from behaviorseq.evaluation.tasks import (
    expected_auc,
    expected_losses,
    task_auc,
    task_losses,
)

__all__ = [
    "Evaluation",
    "Interval",
    "OrderTest",
    "PairedTest",
    "auc_interval",
    "auc_test",
    "bootstrap_interval",
    "compare",
    "cross_entropy",
    "evaluate",
    "expected_auc",
    "expected_losses",
    "paired_test",
    "ranking_metrics",
    "self_information",
    "shuffle_test",
    "task_auc",
    "task_losses",
]
