"""Metrics against scikit-learn, against hand-computed values, and where they have no value."""

import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

from anomaly_lib import evaluation
from anomaly_lib.evaluation import average_precision, evaluate, f1_at, f1_max, image_auroc, pixel_auroc
from anomaly_lib.evaluation.inputs import undefined_reason

ROOT = Path(__file__).parents[1]


def random_case(seed=0, n=4000, shift=0.0, scale=1.0, step=None, dtype=np.float64):
    """Overlapping normal and anomalous scores, ten to one; `step` rounds them into ties."""
    rng = np.random.default_rng(seed)
    labels = rng.random(n) < 0.1
    scores = rng.normal(size=n) + 1.2 * labels
    if step:
        scores = np.round(scores / step) * step
    return (scores * scale + shift).astype(dtype), labels


CASES = {
    "plain": {},
    "plus_1000": {"shift": 1000.0},
    "minus_1000": {"shift": -1000.0},
    "huge": {"scale": 1e30},
    "tiny_differences": {"scale": 1e-9, "shift": 1.0},
    "subnormal_float32": {"scale": 1e-40},
    "many_ties": {"step": 0.5},
    "two_levels": {"step": 100.0, "scale": 0.01, "shift": 5.0},
}


def best_f1(scores, labels):
    precision, recall, _ = precision_recall_curve(labels, scores)
    return np.max(2 * precision * recall / np.maximum(precision + recall, 1e-30))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", CASES)
def test_equals_scikit_learn(case, dtype):
    scores, labels = random_case(dtype=dtype, **CASES[case])
    assert image_auroc(scores, labels) == pytest.approx(roc_auc_score(labels, scores), abs=1e-6)
    assert average_precision(scores, labels) == pytest.approx(average_precision_score(labels, scores), abs=1e-6)
    assert f1_max(scores, labels) == pytest.approx(best_f1(scores, labels), abs=1e-6)


def test_equals_scikit_learn_on_a_million_pixels():
    scores, labels = random_case(n=2**20, dtype=np.float32)
    maps, masks = scores.reshape(16, 256, 256), labels.reshape(16, 256, 256)
    assert pixel_auroc(maps, masks) == pytest.approx(roc_auc_score(labels, scores), abs=1e-6)
    assert average_precision(maps, masks) == pytest.approx(average_precision_score(labels, scores), abs=1e-6)


def test_a_score_of_1000_is_what_torchmetrics_alone_gets_wrong():
    """The trap this package's door exists for: if this fails, torchmetrics was cured."""
    from torchmetrics.functional.classification import binary_auroc

    scores, labels = random_case(shift=1000.0, dtype=np.float32)
    alone = binary_auroc(torch.from_numpy(scores), torch.from_numpy(labels.astype(int)), thresholds=None)
    assert float(alone) == pytest.approx(0.5)
    assert image_auroc(scores, labels) > 0.75


def test_hand_computed():
    scores, labels = [0.9, 0.8, 0.7, 0.6], [1, 0, 1, 0]
    assert image_auroc(scores, labels) == pytest.approx(3 / 4)  # 3 of 4 pairs in order
    assert average_precision(scores, labels) == pytest.approx(1 / 2 * 1 + 1 / 2 * 2 / 3)
    assert f1_max(scores, labels) == pytest.approx(0.8)  # the first three: TP 2, FP 1
    assert f1_at(scores, labels, 0.7) == pytest.approx(0.8)
    assert f1_at(scores, labels, 0.9) == pytest.approx(2 / 3)  # >= keeps the 0.9 itself
    assert f1_at(scores, labels, 2.0) == 0.0
    assert image_auroc([5, 5, 5], [1, 0, 1]) == pytest.approx(0.5)  # all tied: half
    assert image_auroc([0.0, -0.0], [1, 0]) == pytest.approx(0.5)  # one value, two bit patterns


def test_f1_max_is_the_largest_f1_at():
    scores, labels = random_case(n=300, step=0.25)
    assert f1_max(scores, labels) == pytest.approx(max(f1_at(scores, labels, t) for t in set(scores)))


@pytest.mark.parametrize("metric", [image_auroc, average_precision, f1_max])
def test_only_the_order_matters(metric):
    scores, labels = random_case(n=500, step=0.05)
    expected = metric(scores, labels)
    shuffle = np.random.default_rng(1).permutation(len(scores))
    assert metric(np.exp(scores), labels) == expected
    assert metric(scores * 1e6 - 1e9, labels) == expected
    assert metric(scores[shuffle], labels[shuffle]) == expected


def test_reversed_scores_and_labels():
    scores, labels = random_case(n=500)
    assert image_auroc(-scores, labels) == pytest.approx(1 - image_auroc(scores, labels), abs=1e-6)
    assert image_auroc(-scores, ~labels) == pytest.approx(image_auroc(scores, labels), abs=1e-6)
    assert image_auroc(labels * 7.0, labels) == average_precision(labels * 7.0, labels) == 1.0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_tensors_and_lists_give_what_arrays_give(dtype):
    scores, labels = random_case(n=600)
    tensor = torch.from_numpy(scores).to(dtype).requires_grad_()
    array = tensor.detach().double().numpy()
    for metric in (image_auroc, average_precision, f1_max):
        expected = metric(array, labels)
        assert type(expected) is float
        assert metric(tensor, torch.from_numpy(labels)) == expected
        assert metric(tensor, labels.astype(np.uint8)) == expected
        assert metric(array.tolist(), labels.tolist()) == expected
    maps, masks = [tensor[:300].reshape(15, 20), tensor[300:].reshape(15, 20)], labels.reshape(2, 15, 20)
    assert pixel_auroc(maps, masks.astype(np.float32)) == pytest.approx(image_auroc(array, labels), abs=1e-6)


@pytest.mark.parametrize("labels", [[0, 0], [1, 1], []])
@pytest.mark.parametrize("metric", [image_auroc, pixel_auroc, average_precision, f1_max])
def test_undefined_is_none_without_a_warning(metric, labels):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert metric(np.arange(len(labels)) * 1.0, labels) is None
        assert f1_at(np.arange(len(labels)), labels, 0.5) is None


def test_importing_the_metrics_does_not_import_torch():
    code = "import sys, anomaly_lib.evaluation; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_undefined_reasons():
    assert undefined_reason([0, 0]) == "no anomalous images in the test split"
    assert undefined_reason([1]) == "no normal images in the test split"
    assert undefined_reason([]) == "the test split holds no images"
    assert undefined_reason(np.zeros((2, 3, 3)), "pixel") == "no defect regions in the test split"
    assert undefined_reason([0, 1]) is None


@pytest.mark.parametrize("metric", [image_auroc, pixel_auroc, average_precision, f1_max])
def test_bad_input_is_a_clear_error(metric):
    for bad in (np.nan, np.inf, -np.inf):
        with pytest.raises(ValueError, match="hold 1 values that are NaN or infinite"):
            metric([0.1, bad], [0, 1])
    with pytest.raises(ValueError, match=r"must have one shape, got \(3,\) and \(2,\)"):
        metric([0.1, 0.2, 0.3], [0, 1])
    with pytest.raises(ValueError, match="only 0"):
        metric([0.1, 0.2], [0, 255])


def test_torchmetrics_says_the_same_of_pixels():
    """Of scores in [0, 1], where it is right; it counts in float32, hence the bound."""
    from torchmetrics.functional.classification import binary_auroc, binary_average_precision

    scores, labels = random_case(seed=4, n=2**18, step=1e-3, scale=0.01, shift=0.5, dtype=np.float32)
    maps, masks = scores.reshape(4, 256, 256), labels.reshape(4, 256, 256)
    pair = torch.from_numpy(scores), torch.from_numpy(labels.astype(int))
    assert pixel_auroc(maps, masks) == pytest.approx(float(binary_auroc(*pair)), abs=1e-6)
    assert average_precision(maps, masks) == pytest.approx(float(binary_average_precision(*pair)), abs=1e-6)


def test_scores_that_differ_in_their_last_bit_are_no_tie():
    scores = np.array([3, np.nextafter(np.float32(3), np.float32(4)), -1e-45, 0.0], np.float32)
    labels = np.array([False, True, False, True])
    assert image_auroc(scores, labels) == pixel_auroc(scores.reshape(1, 2, 2), labels.reshape(1, 2, 2)) == 0.75
    assert average_precision(scores, labels) == pytest.approx((1 + 2 / 3) / 2)


def split(seed=3, n=6, size=24):
    """Three normal and three anomalous images; the maps see the defects through noise."""
    rng = np.random.default_rng(seed)
    masks = np.zeros((n, size, size), dtype=bool)
    masks[3, 2:7, 3:9] = masks[4, 10:20, 10:12] = masks[5, :4, :4] = masks[5, 18:, 18:] = True
    maps = rng.normal(size=masks.shape).astype(np.float32) + 2 * masks
    return maps.max(axis=(1, 2)), np.arange(n) >= 3, maps, masks


def _iou(found, truth):
    return np.sum(found & truth) / np.sum(found | truth)


def test_evaluate_equals_the_single_metrics():
    scores, labels, maps, masks = split()
    result = evaluate(scores, labels, maps, masks, image_threshold=3.0, pixel_threshold=1.5)
    best_iou = max(_iou(maps >= threshold, masks) for threshold in np.unique(maps))
    assert result.pop("pixel_iou_max_oracle") == pytest.approx(best_iou)
    expected = {
        "image_auroc": image_auroc(scores, labels),
        "image_ap": average_precision(scores, labels),
        "image_f1_max_oracle": f1_max(scores, labels),
        "pixel_auroc": pixel_auroc(maps, masks),
        "pixel_ap": average_precision(maps, masks),
        "pixel_f1_max_oracle": f1_max(maps, masks),
        "aupro_030": evaluation.aupro(maps, masks),
        "aupro_005": evaluation.aupro(maps, masks, limit=0.05),
        "n_regions": 4,
        "image_f1": f1_at(scores, labels, 3.0),
        "image_false_positive_rate": np.mean(scores[:3] >= 3.0),
        "pixel_f1": f1_at(maps, masks, 1.5),
        "pixel_false_positive_rate": np.mean(maps[:3] >= 1.5),
        "n_normal": 3,
        "n_anomalous": 3,
        "undefined": {},
    }
    assert result == expected
    assert all(type(value) in (float, int, dict) for value in result.values())


def test_evaluate_says_why_a_metric_is_missing():
    scores, labels, maps, masks = split()
    everything = set(evaluate(scores, labels, maps, masks))
    result = evaluate(scores, labels, maps, pixel_threshold=1.5)
    assert set(result) == everything
    for key in ("pixel_auroc", "pixel_ap", "pixel_f1_max_oracle", "aupro_030", "n_regions", "pixel_f1"):
        assert result[key] is None
        assert result["undefined"][key] == "the data set has no masks"
    assert result["undefined"]["image_f1"] == "no image threshold was given"
    assert result["pixel_false_positive_rate"] == np.mean(maps[:3] >= 1.5)  # needs no masks
    assert result["image_auroc"] is not None
    good = evaluate(scores[:3], labels[:3], maps[:3], masks[:3])
    assert good["undefined"]["image_auroc"] == "no anomalous images in the test split"
    assert good["undefined"]["aupro_030"] == "no defect regions in the test split"
    assert (good["n_regions"], good["n_normal"], good["n_anomalous"]) == (0, 3, 0)
    bad = evaluate(scores[3:], labels[3:], maps[3:], masks[3:], image_threshold=0.0, pixel_threshold=0.0)
    assert bad["undefined"]["pixel_false_positive_rate"] == "no normal images in the test split"
    assert bad["image_auroc"] is None
    assert bad["pixel_auroc"] is not None


def test_evaluate_refuses_contradictions():
    scores, labels, maps, masks = split()
    with pytest.raises(ValueError, match="1 images are labelled normal but"):
        evaluate(scores, np.array([0, 0, 0, 0, 1, 1]), maps, masks)
    with pytest.raises(ValueError, match="need labels"):
        evaluate(scores[1:], labels[1:], maps, masks)
    with pytest.raises(ValueError, match="one shape"):
        evaluate(scores, labels, maps, masks[:, 1:])
    with pytest.raises(ValueError, match=r"maps hold \d+ values that are NaN"):
        evaluate(scores, labels, np.where(masks, np.nan, maps), masks)
