"""The lesson on metrics: each exhibit's claim computed, the wrong ways wrong as stated, exercise checks, figures."""

import json
import math

import numpy as np
import pytest
from PIL import Image
from scipy.stats import norm, rankdata

from anomaly_course.lessons import metrics as lesson
from anomaly_course.lessons import metrics_checks as checks
from anomaly_course.lessons import metrics_figures as figures
from anomaly_lib.data.folder import Sample
from anomaly_lib.data.tensors import load_masks
from anomaly_lib.evaluation import aupro, f1_at, f1_max, image_auroc, pixel_auroc, quantile_threshold
from anomaly_lib.figures.style import map_scale

LIMIT = 0.3


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(scope="module")
def simulated():
    """Maps and masks of 16 images of 64 x 64."""
    return lesson.simulated_maps(16, 64, np.random.default_rng(0))


# Exhibit 1: picking


def test_rows_of_aurocs_are_image_auroc_with_ties(rng):
    labels = lesson.half_anomalous(11)
    scores = rng.integers(0, 5, (2, 3, 11)).astype(float)
    found = lesson.aurocs(scores, labels)
    assert found.shape == (2, 3)
    assert found.ravel() == pytest.approx([image_auroc(row, labels) for row in scores.reshape(6, 11)], abs=1e-6)


def test_candidates_are_equal_and_agree_as_stated(rng):
    labels = lesson.half_anomalous(2000)
    scores = lesson.drawn_scores(labels, 0.9, (20, 2), 0.5, rng)
    assert lesson.aurocs(scores, labels).mean(axis=0) == pytest.approx([0.9, 0.9], abs=0.01)
    normals = scores[:, :, ~labels]
    assert np.corrcoef(normals[:, 0].ravel(), normals[:, 1].ravel())[0, 1] == pytest.approx(0.5, abs=0.03)


def test_the_best_of_equals_pretends_more_with_fewer_images(rng):
    gains = {}
    for count in (40, 160):
        labels = lesson.half_anomalous(count)
        found = lesson.aurocs(lesson.drawn_scores(labels, 0.95, (200, 20), 0.5, rng), labels)
        gains[count] = [found[:, :k].max(axis=1).mean() - 0.95 for k in (1, 2, 20)]
    assert gains[40][0] == pytest.approx(0, abs=0.01)
    assert gains[40][2] > gains[40][1] > 0.005
    assert 0.3 < gains[160][2] / gains[40][2] < 0.75


def test_the_oracle_threshold_is_where_f1_is_largest(rng):
    labels = lesson.half_anomalous(30)
    for scores in lesson.drawn_scores(labels, 0.9, (5, 1), 0.0, rng)[:, 0]:
        assert f1_at(scores, labels, lesson.oracle_threshold(scores, labels)) == pytest.approx(
            f1_max(scores, labels), abs=1e-6
        )


def test_f1_on_new_images_is_the_limit_of_many(rng):
    labels = np.arange(200_000) >= 150_000
    scores = lesson.drawn_scores(labels, 0.9, (1, 1), 0.0, rng)[0, 0]
    assert lesson.f1_on_new_images(1.0, 0.9, 0.25) == pytest.approx(f1_at(scores, labels, 1.0), abs=0.005)


def test_f1_max_claims_more_than_its_threshold_delivers_and_falls_deepest_where_defects_are_rare(rng):
    claimed, oracle, honest = zip(
        *lesson.two_thresholds(lesson.half_anomalous(40), 0.95, 40, 0.05, 100, rng), strict=True
    )
    mean = {
        (name, share): np.mean([lesson.f1_on_new_images(t, 0.95, share) for t in thresholds])
        for name, thresholds in (("oracle", oracle), ("honest", honest))
        for share in (0.5, 0.01)
    }
    assert np.mean(claimed) > mean["oracle", 0.5] + 0.02
    assert mean["honest", 0.01] > mean["oracle", 0.01]


def test_picking_on_one_half_gains_there_alone(rng):
    labels = lesson.half_anomalous(50)
    equal = lesson.drawn_scores(labels, 0.9, (1, 2), 0.0, rng)[0]
    picked, other = lesson.picked_on_half(equal, labels, 200, rng).mean(axis=0)
    assert picked > other
    clear = np.stack([labels.astype(float), -labels.astype(float)])
    assert (lesson.picked_on_half(clear, labels, 3, rng) == 1).all()


def test_scores_of_the_pipeline_are_read_and_paired_by_part(tmp_path):
    assert lesson.pipeline_scores(tmp_path) == {}
    for name, threshold in (("a-nut-0", 2.5), ("b-nut-0", 1.5), ("a-wood-0", 2.0), ("c-wood-0", None)):
        folder = tmp_path / "reports/evaluate" / name
        folder.mkdir(parents=True)
        (folder / "metrics.json").write_text(json.dumps({"image_threshold": threshold}))
        (folder / "scores.csv").write_text("image,anomalous,score\ngood/0.png,0,1.5\ncut/0.png,1,2.5\n")
    found = lesson.pipeline_scores(tmp_path)
    assert list(found) == ["a-nut-0", "a-wood-0", "b-nut-0"]
    assert found["a-nut-0"].scores.tolist() == [1.5, 2.5]
    assert found["a-nut-0"].labels.tolist() == [False, True]
    assert found["b-nut-0"].threshold == 1.5
    assert list(lesson.comparable_pairs(found)) == [("a-nut-0", "b-nut-0")]


def test_stand_ins_can_be_compared_with_each_other(rng):
    found = lesson.stand_in_scores(lesson.half_anomalous(20), (0.8, 0.9, 0.99), rng)
    assert len(lesson.comparable_pairs(found)) == 2


# Exhibit 2: the sigmoid


def test_torchmetrics_is_right_within_0_and_1_and_a_coin_beyond(rng):
    labels = lesson.half_anomalous(40)
    scores = rng.uniform(0, 0.6, 40) + 0.4 * labels
    truth = image_auroc(scores, labels)
    assert lesson.torchmetrics_auroc(scores, labels, 40) == pytest.approx(truth, abs=1e-6)
    assert lesson.torchmetrics_auroc(scores + 20, labels, 40) == 0.5
    assert image_auroc(scores + 20, labels) == pytest.approx(truth, abs=1e-6)


def test_one_by_one_raw_scores_change_their_order():
    scores, labels = np.array([0.9, 0.95, 1.1, 1.2]), np.array([False, False, True, True])
    assert lesson.torchmetrics_auroc(scores, labels, 4) == 1
    assert lesson.torchmetrics_auroc(scores, labels, 1) == 0
    assert image_auroc(scores, labels) == 1


# Exhibit 3: thresholds and the limit


def test_every_value_as_a_threshold_gives_the_exact_aupro(simulated):
    maps, masks = simulated
    curve = lesson.pro_curve(maps, masks, np.unique(maps)[::-1])
    assert lesson.area_to(*curve, LIMIT) == pytest.approx(aupro(maps, masks, LIMIT), abs=1e-9)


def test_saturation_keeps_the_order_and_breaks_spaced_thresholds(simulated):
    maps, masks = simulated
    steep = lesson.saturated(maps)
    exact = aupro(maps, masks, LIMIT)
    assert aupro(steep, masks, LIMIT) == pytest.approx(exact, abs=1e-6)
    smooth_curve, steep_curve = (lesson.pro_curve(m, masks, lesson.spaced_thresholds(m, 200)) for m in (maps, steep))
    assert lesson.area_to(*smooth_curve, LIMIT) == pytest.approx(exact, abs=0.005)
    assert lesson.area_to(*steep_curve, LIMIT) < exact - 0.02
    assert lesson.wrong_area_by_last_rate(*steep_curve, LIMIT) > 1
    assert lesson.wrong_area_of_kept(*steep_curve, LIMIT) < exact - 0.05
    assert lesson.wrong_area_of_kept(*smooth_curve, LIMIT) == pytest.approx(exact, abs=0.03)


# Exhibit 4: masks


def test_half_covered_is_the_library_s_rule(rng, tmp_path):
    mask = lesson.scratch_masks([5], 64, rng)
    Image.fromarray(mask[0].astype(np.uint8) * 255).save(tmp_path / "mask.png")
    sample = Sample(tmp_path / "image.png", "test", "cut", tmp_path / "mask.png")
    assert np.array_equal(load_masks([sample], 16).numpy(), lesson.half_covered(mask, 4))


def test_truncation_keeps_what_is_wholly_defect_in_the_middle_of_the_square():
    mask = np.zeros((1, 8, 8), bool)
    mask[0, 1:3, 1:3] = True  # exactly the four pixels that bilinear mixes
    mask[0, 4:, 5] = True
    assert lesson.wrong_truncated(mask, 4)[0].tolist() == [[True, False], [False, False]]
    assert lesson.wrong_nearest(mask, 4).sum() == 0
    mask[0, 2, 2] = False
    assert not lesson.wrong_truncated(mask, 4).any()


def test_thin_scratches_are_broken_or_lost_and_wide_ones_survive(rng):
    thin, wide = (lesson.scratch_masks([width] * 4, 256, rng) for width in (1, 12))
    assert lesson.region_count(thin) == lesson.region_count(wide) == 8
    thin_left, wide_left = (
        {name: resize(masks, 4) for name, resize in lesson.RESIZERS.items()} for masks in (thin, wide)
    )
    assert lesson.region_count(thin_left["nearest"]) > 16
    assert not thin_left["bilinear, truncated"].any()
    assert thin_left["half covered"].mean() < thin.mean() / 2
    assert {name: lesson.region_count(masks) for name, masks in wide_left.items()} == dict.fromkeys(wide_left, 8)
    assert wide_left["half covered"].mean() == pytest.approx(wide.mean(), rel=0.05)
    assert wide_left["bilinear, truncated"].mean() < 0.95 * wide.mean()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_aupro_of_the_same_maps_moves_with_the_rule(seed):
    rng = np.random.default_rng(seed)
    scratches = lesson.scratch_masks([1, 2, 3, 4, 6, 8, 12], 256, rng)
    maps = lesson.scratch_maps(scratches, 4, rng)
    values = [aupro(lesson.enlarged(maps, 4), scratches)]
    values += [aupro(maps, resize(scratches, 4)) for resize in lesson.RESIZERS.values()]
    assert np.ptp(values) > 0.01


# Exhibit 5: scales


def test_a_scale_for_each_image_ties_all_images_and_costs_pixel_auroc(simulated):
    maps, masks = simulated
    labels, stretched = lesson.half_anomalous(16), lesson.wrong_per_image(maps)
    assert image_auroc(maps.max(axis=(1, 2)), labels) > 0.7
    assert image_auroc(stretched.max(axis=(1, 2)), labels) == 0.5
    assert pixel_auroc(stretched, masks) < pixel_auroc(maps, masks)


def test_a_scale_for_each_batch_depends_on_the_others_in_it():
    scores = np.array([1.0, 2, 3, 4, 5])
    assert lesson.wrong_per_batch(scores, 2).tolist() == [0, 1, 0, 1, 0]
    assert lesson.wrong_per_batch(scores, 5).tolist() == [0, 0.25, 0.5, 0.75, 1]


# Exercises


def area_by_hand(rates, overlap, limit):
    """By segments, without an appended point."""
    total = 0.0
    for i in range(len(rates) - 1):
        low, high = rates[i], min(rates[i + 1], limit)
        if high > low:
            slope = (overlap[i + 1] - overlap[i]) / (rates[i + 1] - rates[i])
            total += (high - low) * (overlap[i] + slope * (high - low) / 2)
    return total / limit


def midpoint(normals, rate):
    """Half-way between the last that must pass and the first that may be flagged."""
    ordered = np.unique(normals)
    allowed = [t for t in ordered if (normals >= t).sum() <= rate * len(normals)]
    if not allowed:
        return ordered[-1] + 0.5
    return (allowed[0] + ordered[np.searchsorted(ordered, allowed[0]) - 1]) / 2


RIGHT = {
    checks.check_threshold: [quantile_threshold, midpoint],
    checks.check_promise: [lambda n: 1 / (1 + n), lambda n: 1 - n / (n + 1)],
    checks.check_auroc: [
        image_auroc,
        lambda s, y: ((s[y == 1][:, None] > s[y == 0]) + 0.5 * (s[y == 1][:, None] == s[y == 0])).mean(),
    ],
    checks.check_area: [lesson.area_to, area_by_hand],
}
WRONG = {
    checks.check_threshold: [
        lambda normals, rate: np.quantile(normals, 1 - rate),
        lambda normals, rate: normals.max(),
        lambda normals, rate: math.inf,  # flags nothing, ever
    ],
    checks.check_promise: [lambda n: 1 / n, lambda n: 0.0],
    checks.check_auroc: [
        lambda s, y: (s[y == 1][:, None] > s[y == 0]).mean(),  # ties nothing
        lambda s, y: (s[y == 1][:, None] >= s[y == 0]).mean(),  # ties all
        lambda s, y: image_auroc((1 / (1 + np.exp(-s))).round(6), y),
        lambda s, y: (rankdata(s, "ordinal")[y == 1].sum() - y.sum() * (y.sum() + 1) / 2) / (y.sum() * (1 - y).sum()),
    ],
    checks.check_area: [
        lambda r, o, limit: lesson.area_to(r, o, limit) * limit,  # not divided
        lambda r, o, limit: np.trapezoid(o[r <= limit], r[r <= limit]) / limit,  # not interpolated
        lesson.wrong_area_of_kept,
    ],
}


@pytest.mark.parametrize("check", RIGHT, ids=lambda check: check.__name__)
def test_checks_accept_other_right_answers_and_refuse_likely_mistakes(check, capsys):
    assert all(check(attempt) for attempt in RIGHT[check])
    assert not any(check(attempt) for attempt in WRONG[check])
    capsys.readouterr()
    assert not check(lambda *arguments: ...)
    assert not check(lambda *arguments: None)
    assert capsys.readouterr().out.count("not begun") == 2


def test_what_n_normals_promise_is_kept_on_average(rng):
    achieved = [norm.sf(quantile_threshold(rng.standard_normal(12), 0.0)) for _ in range(2000)]
    assert np.mean(achieved) == pytest.approx(1 / 13, abs=0.006)


# Figures


def test_the_figures_state_what_they_are_given(simulated):
    maps, masks = simulated
    spread = figures.spread_figure({"a": [0.2, 0.4], "b": [0.5, 0.5]}, "F1", "title")
    assert [text.get_text() for text in spread.axes[0].texts] == ["0.30", "0.50"]
    small = {"nearest": lesson.wrong_nearest(masks[-1:], 2)[0]}
    panels = figures.masks_figure(masks[-1], small, {"as annotated": 1, "nearest": 2}).axes
    assert "1 region, 100 %" in panels[0].get_title().replace("100%", "100 %")
    assert "2 regions" in panels[1].get_title()
    curve = lesson.pro_curve(maps, masks, lesson.spaced_thresholds(maps, 20))
    inside = np.count_nonzero(curve[0] < LIMIT)
    panels = figures.curves_figure({"a": (curve, curve), "b": (curve, curve)}, LIMIT).axes
    assert f"{inside} of 20" in panels[0].get_title()


def test_both_rows_of_the_scales_have_their_limits_and_the_fixed_one_is_the_same_for_all(simulated):
    maps, masks = simulated
    scale = map_scale({"pixel_median": 0.0, "pixel": 2.0})
    axes = figures.scales_figure(maps[:2], lesson.wrong_per_image(maps[:2]), masks[:2], ["a", "b"], scale).axes
    assert [axis.images[0].get_clim() for axis in axes[:4]] == [(0, 2), (0, 2), (0, 1), (0, 1)]
    assert np.array_equal(axes[0].images[0].get_array(), maps[0] / 2)


def test_the_other_figures_draw():
    assert len(figures.gain_figure([1, 2], {40: [0, 0.1], 160: [0, 0.05]}, 0.9).axes[0].lines) == 3
    assert figures.pairs_figure({"a": 0.5}, {"a": 0.9}, "F1").axes[0].lines[1].get_xdata() == [0.9]
    assert len(figures.sigmoid_figure([0, 20], [0.9, 0.5], [0.9, 0.9], [1, 4], [[0.7, 0.8], [0.9]], 0.9).axes) == 2
    drawn = figures.widths_figure([1, 4], {"a": [0, 2]}, {"a": [0, 1]}, true=2)
    assert [axis.get_title().split()[0] for axis in drawn.axes] == ["Regions", "Area"]
