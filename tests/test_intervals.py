"""Intervals against closed forms, against metrics of the images drawn, and against the truth in simulations."""

import tracemalloc

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm
from sklearn.metrics import average_precision_score, roc_auc_score

from anomaly_lib.evaluation import (
    achieved_rate_interval,
    aupro,
    auroc_interval,
    expected_rate,
    image_intervals,
    pixel_intervals,
    quantile_threshold,
)
from anomaly_lib.evaluation.intervals import IMAGE_KEYS, PIXEL_KEYS, delong, score_interval
from anomaly_lib.evaluation.resampling import (
    auroc,
    average_precision,
    histograms_of,
    pixel_metrics,
    resampled,
    summed,
    tie_groups,
)


def blurred(rng, count, size):
    """Smooth noise (N, H, W) of deviation 1, without scipy: a sum of shifted copies."""
    noise = rng.normal(size=(count, size, size))
    for axis in (1, 2):
        noise = sum(np.roll(noise, shift, axis) for shift in range(5))
    return noise / noise.std()


def split(seed=0, images=12, size=48):
    """Maps (N, H, W), masks with one square each and a single defect pixel in some, labels; a third is normal."""
    rng = np.random.default_rng(seed)
    masks = np.zeros((images, size, size), dtype=bool)
    labels = np.arange(images) >= images // 3
    for mask in (masks[index] for index in np.flatnonzero(labels)):
        (row, column), edge = rng.integers(0, size - 9, 2), rng.integers(1, 9)
        mask[row : row + edge, column : column + edge] = True
        mask[-1, -1] = edge % 2
    return (blurred(rng, images, size) + 2 * masks).astype(np.float32), masks, labels


@pytest.mark.parametrize(("held_out", "rate"), [(12, 0.005), (40, 0.1)])
def test_achieved_rate_lies_in_its_interval_as_often_as_promised(held_out, rate):
    """Scores of a skewed distribution: only that all are drawn alike matters."""
    rng, total = np.random.default_rng(0), 30
    achieved = []
    for _ in range(3000):
        scores = rng.exponential(size=held_out + total)
        achieved.append(np.mean(scores[held_out:] >= quantile_threshold(scores[:held_out], rate)))
    low, high = achieved_rate_interval([(held_out, rate, total)], confidence=0.9)
    achieved = np.array(achieved)
    assert np.mean((achieved >= low) & (achieved <= high)) >= 0.9 - 0.01
    assert max(np.mean(achieved < low), np.mean(achieved > high)) <= 0.05 + 0.01
    assert np.mean(achieved > high - 1.5 / total) > 0.05 - 0.01  # one count narrower would promise too much
    assert np.mean(achieved) == pytest.approx(expected_rate(held_out, rate), abs=0.01)


def test_achieved_rate_computed_by_hand():
    """One held-out, one new: the new one is the larger with probability 1/2."""
    assert achieved_rate_interval([(1, 0.0, 1)], confidence=0.9) == (0.0, 1.0)
    assert achieved_rate_interval([(39, 0.0, 1)], confidence=0.9) == (0.0, 0.0)  # flagged with probability 1/40
    assert achieved_rate_interval([(12, 0.005, 20)]) == (0.0, 0.3)
    low, high = achieved_rate_interval([(100_000, 0.25, 1000)])
    assert (low, high) == pytest.approx((0.223, 0.277), abs=0.001)  # the threshold is known: 1.96 sqrt(pq/1000)
    # of two one-image runs with one new image each, both are flagged by chance in a quarter of cases, none in another
    assert achieved_rate_interval([(1, 0.0, 1)] * 2, confidence=0.6) == (0.0, 1.0)
    assert achieved_rate_interval([(1, 0.0, 1)] * 2, confidence=0.4) == (0.5, 0.5)
    assert achieved_rate_interval([(12, 0.005, 20)] * 4) == (0.0125, 0.1875)
    with pytest.raises(ValueError, match="at least one new normal"):
        achieved_rate_interval([(12, 0.005, 0)])
    with pytest.raises(ValueError, match="at least one normal value"):
        achieved_rate_interval([(0, 0.005, 3)])


SHAPES = {  # scores of normal and of anomalous images with a given AUROC
    "binormal": lambda rng, auroc, size: (rng.normal(size=size), rng.normal(norm.ppf(auroc) * 2**0.5, 1, size)),
    "wide": lambda rng, auroc, size: (rng.normal(size=size), rng.normal(norm.ppf(auroc) * 10**0.5, 3, size)),
    "skewed": lambda rng, auroc, size: (rng.exponential(size=size), rng.exponential(auroc / (1 - auroc), size)),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("auroc", [0.76, 0.85, 0.9, 0.95, 0.98, 0.99])
def test_the_auroc_interval_holds_the_truth_as_often_as_promised(auroc, shape):
    """20 normal and 30 anomalous images, the sample's: within 3 points of 95 %."""
    normal, anomalous = SHAPES[shape](np.random.default_rng(3), auroc, (3000, 30))
    found = np.transpose([delong(n, a) for n, a in zip(normal[:, :20], anomalous, strict=True)])
    low, high = score_interval(*found, 20, 30, 0.95)
    assert np.mean((low <= auroc) & (auroc <= high)) == pytest.approx(0.95, abs=0.03)


def test_the_auroc_interval_computed_by_hand():
    """Of two and two images, one of four pairs wrong: (0.75 - x)^2 = 1.96^2 V(x), Newcombe's V scaled to DeLong's."""
    at_observed = 0.75 * 0.25 * (1 + 0.25 / 1.25 + 0.75 / 1.75) / 4
    delongs = 2 * np.var([0.5, 1.0], ddof=1) / 2  # placements of the anomalous ones, and the same of the normal ones
    for end in auroc_interval([1.0, 3.0, 2.0, 4.0], np.array([0, 0, 1, 1])):
        model = end * (1 - end) * (1 + (1 - end) / (2 - end) + end / (1 + end)) / 4
        assert (0.75 - end) ** 2 == pytest.approx(1.959964**2 * model * delongs / at_observed, rel=1e-5)


def test_a_perfect_auroc_is_no_certainty_and_order_is_all_that_counts():
    labels = np.arange(50) >= 20
    assert auroc_interval(np.arange(50.0), labels) == pytest.approx((0.916, 1.0), abs=1e-3)
    assert auroc_interval(-np.arange(50.0), labels) == pytest.approx((0.0, 0.084), abs=1e-3)
    low, high = auroc_interval(np.zeros(50), labels)  # all tied
    assert low + high == pytest.approx(1)
    scores = np.random.default_rng(0).normal(size=50) + labels
    assert auroc_interval(np.exp(scores), labels) == auroc_interval(scores, labels)
    flipped = auroc_interval(-scores, labels)
    assert flipped == pytest.approx([1 - end for end in auroc_interval(scores, labels)[::-1]])
    assert delong(scores[~labels], scores[labels])[0] == pytest.approx(roc_auc_score(labels, scores))
    with pytest.raises(ValueError, match="two normal and two anomalous"):
        auroc_interval(scores[:21], labels[:21])


def test_the_bootstrap_of_average_precision_holds_the_binormal_truth_about_as_often_as_promised():
    rng, shift, share = np.random.default_rng(1), 1.2, 80 / 140
    truth = quad(lambda x: share * norm.pdf(x - shift) * precision(x, shift, share), -8, 10)[0] / share
    labels, held = np.arange(140) >= 60, []
    for seed in range(400):
        low, high = image_intervals(rng.normal(size=140) + shift * labels, labels, seed, resamples=400)["image_ap"]
        held.append(low <= truth <= high)
    assert np.mean(held) == pytest.approx(0.95, abs=0.03)


def precision(threshold, shift, share):
    """Of a binormal score with a given share of anomalous ones, at or above the threshold."""
    hits = share * norm.sf(threshold - shift)
    return hits / (hits + (1 - share) * norm.sf(threshold))


def test_where_all_resamples_agree_there_is_no_interval():
    labels = np.arange(10) >= 4
    result = image_intervals(np.arange(10.0), labels, 0)
    assert result["image_auroc"][0] < 0.8
    assert result["undefined"] == {"image_ap": "all resamples give 1, which is no certainty"}


@pytest.mark.parametrize("step", [None, 0.5])
def test_weights_are_the_images_repeated(step):
    rng = np.random.default_rng(2)
    labels = np.arange(60) % 3 > 0
    scores = rng.normal(size=60) + labels
    scores = np.round(scores / step) * step if step else scores
    weights = np.concatenate(list(resampled(labels, 0, 20, 60, "test")))
    groups = tie_groups(scores)
    normal, anomalous = summed(weights * ~labels, groups), summed(weights * labels, groups)
    for index, counts in enumerate(weights.astype(int)):
        drawn, truth = np.repeat(scores, counts), np.repeat(labels, counts)
        assert auroc(normal, anomalous)[index] == pytest.approx(roc_auc_score(truth, drawn))
        assert average_precision(normal, anomalous)[index] == pytest.approx(average_precision_score(truth, drawn))


def test_weighted_histograms_are_the_maps_repeated():
    """With fewer values than bins nothing is lost, so every resample equals the metrics of its images."""
    maps, masks, labels = split(size=24)
    maps = np.round(maps * 4) / 4
    histograms = histograms_of(maps, masks, bins=2**16)
    weights = np.concatenate(list(resampled(labels, 0, 10, 60, "test")))
    values = pixel_metrics(weights, histograms)
    for index, counts in enumerate(weights.astype(int)):
        drawn, truth = np.repeat(maps, counts, axis=0), np.repeat(masks, counts, axis=0)
        expected = exact(drawn, truth)
        for key in PIXEL_KEYS:
            assert values[key][index] == pytest.approx(expected[key], abs=1e-9), key


def exact(maps, masks):
    return {
        "pixel_auroc": roc_auc_score(masks.ravel(), maps.ravel()),
        "pixel_ap": average_precision_score(masks.ravel(), maps.ravel()),
        "aupro_030": aupro(maps, masks, 0.3),
        "aupro_005": aupro(maps, masks, 0.05),
    }


@pytest.mark.parametrize("shape", ["unbounded", "saturated", "hopeless", "perfect"])
def test_bins_move_no_metric_by_more_than_stated(shape):
    maps, masks, labels = split(seed=3, images=20, size=128)
    if shape == "saturated":
        maps = 1 / (1 + np.exp(-12 * (maps - 2))).astype(np.float32)
    if shape in ("hopeless", "perfect"):
        maps = maps + np.float32(20 if shape == "perfect" else -20) * masks
    values = pixel_metrics(np.ones((1, len(labels))), histograms_of(maps, masks, bins=4096))
    for key, value in exact(maps, masks).items():
        assert values[key][0] == pytest.approx(value, abs=0.002), key


def test_pixel_intervals_hold_the_value_and_more_images_narrow_them():
    maps, masks, labels = split(images=12)
    few, many = (pixel_intervals(np.tile(maps, (n, 1, 1)), np.tile(masks, (n, 1, 1)), np.tile(labels, n), 0)
                 for n in (1, 4))  # fmt: skip
    for key, value in exact(maps, masks).items():
        assert few[key][0] < value < few[key][1]
        # four times the images: half the width, to the noise of 200 resamples
        assert np.diff(many[key]) / np.diff(few[key]) == pytest.approx(0.5, abs=0.15)


def test_pixel_intervals_take_the_image_as_the_unit():
    """Normal images are flat at 0 or at 1, by the dozen: how many are loud decides, not how many pixels."""
    maps, masks = np.zeros((24, 16, 16)), np.zeros((24, 16, 16), dtype=bool)
    maps[:6], masks[12:, :8], maps[12:, :8] = 1.0, True, 0.5
    low, high = pixel_intervals(maps, masks, np.arange(24) >= 12, 0)["pixel_auroc"]
    # 12 loud of every 36 half images of normal pixels, on average; the draw of 12 has deviation sqrt(3)
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(3) * 2 / 36, rel=0.25)


def test_draws_keep_the_classes_and_follow_the_seed():
    labels = np.arange(30) % 3 == 0
    weights = np.concatenate(list(resampled(labels, 0, 50, 10**6, "test")))
    assert weights.shape == (50, 30)
    assert (weights[:, labels].sum(axis=1) == 10).all()
    assert (weights[:, ~labels].sum(axis=1) == 20).all()
    scores = np.random.default_rng(0).normal(size=30) + labels
    assert image_intervals(scores, labels, 0) == image_intervals(scores, labels, 0)
    assert image_intervals(scores, labels, 0) != image_intervals(scores, labels, 1)


def test_only_the_order_matters():
    maps, masks, labels = split()
    scores = maps.max(axis=(1, 2))
    assert image_intervals(np.exp(scores) - 5, labels, 0) == image_intervals(scores, labels, 0)
    maps = np.round(maps * 8) / 8
    assert pixel_intervals(maps**3 * 7, masks, labels, 0) == pixel_intervals(maps, masks, labels, 0)


def test_memory_stays_near_the_size_of_the_maps():
    maps, masks, labels = split(images=12, size=256)
    pixel_intervals(maps[:6], masks[:6], labels[:6], 0, resamples=2)  # imports are not what is measured
    tracemalloc.start()
    pixel_intervals(maps, masks, labels, 0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100e6 + 10 * maps.size  # 117 images: 0.18 GB


def test_undefined_is_none_with_a_reason():
    maps, masks, labels = split()
    scores = maps.max(axis=(1, 2))
    for chosen, reason in (
        (~labels, "no anomalous images in the test split"),
        (labels, "no normal images in the test split"),
        (slice(3, 6), "one normal image in the test split: an interval needs two"),
        (slice(0, 5), "one anomalous image in the test split: an interval needs two"),
        (slice(0), "the test split holds no images"),
    ):
        result = image_intervals(scores[chosen], labels[chosen], 0)
        assert result == dict.fromkeys(IMAGE_KEYS) | {"undefined": dict.fromkeys(IMAGE_KEYS, reason)}
    for arguments, reason in (
        ((maps, None, labels), "the data set has no masks"),
        ((maps[:4], masks[:4], labels[:4]), "no defect regions in the test split"),
        ((maps[:1], masks[:1], labels[:1]), "no defect regions in the test split"),
        ((maps[3:6], masks[3:6], labels[3:6]), "one normal image in the test split: an interval needs two"),
        ((maps[:0], masks[:0], labels[:0]), "the test split holds no pixels"),
    ):
        result = pixel_intervals(*arguments, 0)
        assert result == dict.fromkeys(PIXEL_KEYS) | {"undefined": dict.fromkeys(PIXEL_KEYS, reason)}
    only_anomalous = pixel_intervals(maps[labels], masks[labels], labels[labels], 0)
    assert only_anomalous["undefined"] == {}
    masks[5:] = False  # one image of eight holds all the defects: many resamples have none
    assert pixel_intervals(maps, masks, labels, 0)["undefined"] == {}
    lost = [pixel_intervals(maps, masks, labels, seed, resamples=1)["undefined"] for seed in range(20)]
    assert any(reasons == dict.fromkeys(PIXEL_KEYS, "no resample drew a defect") for reasons in lost)


def test_bad_input_is_a_clear_error():
    maps, masks, labels = split()
    with pytest.raises(ValueError, match="at least one resample"):
        image_intervals(labels * 1.0, labels, 0, resamples=0)
    with pytest.raises(ValueError, match="confidence"):
        pixel_intervals(maps, masks, labels, 0, confidence=1.0)
    with pytest.raises(ValueError, match="at least 16 bins"):
        pixel_intervals(maps, masks, labels, 0, bins=1)
    with pytest.raises(ValueError, match="NaN or infinite"):
        pixel_intervals(maps * np.nan, masks, labels, 0)
    with pytest.raises(ValueError, match="labelled normal but"):
        pixel_intervals(maps, masks, ~labels, 0)
