"""Exact metrics and thresholds: the numbers this project reports, and why each can be believed."""

from anomaly_lib.evaluation.comparison import compare
from anomaly_lib.evaluation.curves import aupro, precision_recall_points, pro_points, roc_points
from anomaly_lib.evaluation.inputs import undefined_reason
from anomaly_lib.evaluation.intervals import (
    achieved_rate_interval,
    auroc_interval,
    decision_check,
    image_intervals,
    pixel_intervals,
)
from anomaly_lib.evaluation.metrics import average_precision, f1_at, f1_max, image_auroc, pixel_auroc
from anomaly_lib.evaluation.summary import against_normals, by_defect_size, by_defect_type, evaluate
from anomaly_lib.evaluation.thresholds import (
    calibrate,
    expected_rate,
    false_positive_rate,
    is_anomalous,
    max_threshold,
    quantile_threshold,
    sigma_threshold,
    threshold_by,
)
