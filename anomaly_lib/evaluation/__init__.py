"""Exact metrics and thresholds: the numbers this project reports, and why each can be believed."""

from anomaly_lib.evaluation.inputs import undefined_reason
from anomaly_lib.evaluation.metrics import average_precision, f1_at, f1_max, image_auroc, pixel_auroc
from anomaly_lib.evaluation.overlap import aupro
from anomaly_lib.evaluation.summary import evaluate
from anomaly_lib.evaluation.thresholds import (
    expected_rate,
    false_positive_rate,
    is_anomalous,
    quantile_threshold,
)

__all__ = [
    "aupro",
    "average_precision",
    "evaluate",
    "expected_rate",
    "f1_at",
    "f1_max",
    "false_positive_rate",
    "image_auroc",
    "is_anomalous",
    "pixel_auroc",
    "quantile_threshold",
    "undefined_reason",
]
