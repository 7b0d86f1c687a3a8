"""The report's sections on trust: promises, choices, pairs, groups, published numbers, LaTeX, curves."""

import json

import numpy as np
import pytest
import yaml

from anomaly_lib.evaluation.intervals import decision_check
from anomaly_lib.figures.results import KINDS, confusion_figure, curves_figure
from anomaly_lib.params import parse_params
from anomaly_lib.registry import is_baseline
from anomaly_lib.reporting.report import published, published_section
from anomaly_lib.reporting.results import SIZE_COLUMNS, TYPE_COLUMNS, all_curves, results_latex, rounded
from anomaly_lib.reporting.review import review_section
from anomaly_lib.reporting.sections import choices, groups_section, intervals, pairs, promises, ranking
from anomaly_lib.reporting.tables import write_csv

THRESHOLDS = {"image": 2.0, "held_out_images": 12, "image_requested_rate": 0.05, "image_expected_rate": 1 / 13}


@pytest.fixture
def params(root):
    raw = yaml.safe_load((root / "params.yaml").read_text())
    return parse_params(raw | {"categories": ["nut", "wood"], "methods": {"dfr": {}, "dmad": {}}})


def rows(**values):
    """One row for each {method_category: image AUROC}."""
    split = [(*key.split("_"), value) for key, value in values.items()]
    return [{"method": m, "category": c, "seed": 0, "image_auroc": v, "aupro_030": v / 2} for m, c, v in split]


# --- promises


def test_a_rate_that_chance_explains_is_within_and_one_that_it_does_not_is_not():
    few, many = (decision_check(THRESHOLDS, rate, 20) for rate in (0.05, 0.6))
    assert few["within"]
    assert not many["within"]
    assert few["resolution"] == pytest.approx(1 / 13)
    assert few["low"] <= few["expected"] <= few["high"]


@pytest.mark.parametrize(
    ("thresholds", "achieved", "reason"),
    [
        ({"image": None}, 0.1, "no threshold"),
        (THRESHOLDS | {"image_requested_rate": None}, 0.1, "asks for no rate"),
        (THRESHOLDS, None, "no normal images"),
    ],
)
def test_where_nothing_was_promised_there_is_a_reason(thresholds, achieved, reason):
    check = decision_check(thresholds, achieved, 20)
    assert reason in check["reason"]
    assert "within" not in check


def test_the_report_counts_the_runs_that_keep_their_promise():
    first, second = rows(dfr_nut=0.9, dfr_wood=0.8)
    first["decision"], second["decision"] = (decision_check(THRESHOLDS, rate, 20) for rate in (0.05, 0.6))
    text = promises([first, second])
    assert "**0 of 1 are within**" in text  # 13 of 40 flagged where 1/13 is expected
    assert "| DFR | 0 | 2 | 0.050 | 0.077 | 0.325 | 0.000 to 0.225 | **no** |" in text
    assert text.count("**no**") == 1
    assert "| DFR | 0 | 1 | 0.050 | 0.077 | 0.050 | 0.000 to 0.300 | yes |" in promises([first])
    assert promises(rows(dfr_nut=0.9)) == ""


# --- choices


def test_the_choice_is_made_on_synthetic_anomalies_and_the_oracle_on_test_images(params, tmp_path):
    for key, value in {"dfr-nut": 0.9, "dmad-nut": 0.8, "dfr-wood": 0.4, "dmad-wood": 0.6}.items():
        write_selection(tmp_path, key, value, 1 - value)
    text = choices(rows(dfr_nut=0.7, dmad_nut=0.95, dfr_wood=0.6, dmad_wood=0.8), params, tmp_path)
    lines = [line for line in text.splitlines() if line.startswith("|")][2:]
    assert lines[0] == "| nut | DFR | 0.900 | 0.700 | DMAD | 0.950 | 0.250 |"
    assert lines[1] == "| wood | DMAD | 0.600 | 0.800 | DMAD | 0.800 | 0.000 |"
    assert lines[2].startswith("| over all: one method | DMAD | 0.700 | 0.875 | DMAD |")


def test_among_equals_the_areas_decide(params, tmp_path):
    for key, areas in {"dfr-nut": 0.4, "dmad-nut": 0.5}.items():
        write_selection(tmp_path, key, 1.0, areas)
    text = choices(rows(dfr_nut=0.9, dmad_nut=0.8), params, tmp_path)
    assert "| nut | DMAD | 1.000 | 0.800 | DFR | 0.900 | 0.100 |" in text


def write_selection(reports, key, auroc, areas):
    file = reports / "calibrate" / f"{key}-0" / "selection.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"synthetic_image_auroc": auroc, "synthetic_aupro_030": areas}))


def test_without_the_synthetic_scores_of_all_methods_nothing_is_chosen(params, tmp_path):
    assert choices(rows(dfr_nut=0.7, dmad_nut=0.9), params, tmp_path) == ""


# --- pairs and intervals


def test_pairs_say_who_wins_and_that_two_categories_prove_nothing():
    text = pairs(rows(dfr_nut=0.9, dmad_nut=0.8, dfr_wood=0.7, dmad_wood=0.8))
    few = "too few categories: 2 of 4 | too few seeds: 1 of 3 | 1, 0, 1 | too few categories"
    assert f"| image_auroc | DFR − DMAD | +0.000 | {few} |" in text
    assert pairs(rows(dfr_nut=0.9)) == ""


def test_a_ranking_inside_the_noise_is_not_one():
    names = [f"dfr_c{i}" for i in range(4)] + [f"dmad_c{i}" for i in range(4)] + [f"padim_c{i}" for i in range(4)]
    close = rows(
        **dict(zip(names, [0.97, 0.98, 0.99, 0.96, 0.98, 0.96, 0.97, 0.97, 0.5, 0.52, 0.5, 0.49], strict=True))
    )
    assert ranking(close, "image_auroc") == (
        "Highest average: DFR. Not told apart from it, as 95 % intervals of the differences over categories hold 0: "
        "DMAD."
    )
    assert ranking([row for row in close if row["method"] != "dmad"], "image_auroc") == (
        "Highest average: DFR; 95 % intervals of the differences over categories leave out 0."
    )
    few = ranking(close[:2] + close[4:6], "image_auroc")
    assert few == "No ranking of averages: too few categories: 2 of 4."
    assert ranking(close[:4], "image_auroc") == ""


def test_intervals_stand_beside_their_metric():
    (row,) = rows(dfr_nut=0.9)
    row["intervals"] = {"image_auroc": [0.8, 0.95], "aupro_030": None}
    assert "| DFR | nut | 0.900 (0.800 to 0.950) | not defined |" in intervals([row])


# --- groups


def test_groups_are_tabled_by_category_and_method(params, tmp_path):
    folder = tmp_path / "evaluate" / "dfr-nut-0"
    folder.mkdir(parents=True)
    kinds = [{"defect_type": "chip", "n_images": 8, "n_regions": 9, "image_auroc": 0.75, "recall": 0.5}]
    sizes = [{"size": "below 0.1 %", "n_regions": 9, "aupro_030": 0.25, "mean_overlap": None}]
    sizes += [{"size": "above 2 %", "n_regions": 0}]
    write_csv(kinds, folder / "defect_types.csv", TYPE_COLUMNS)
    write_csv(sizes, folder / "defect_sizes.csv", SIZE_COLUMNS)
    text = groups_section(params, tmp_path)
    assert "| nut | chip | 8 | 0.750 / 0.500 | – |" in text
    assert "| nut | below 0.1 % | 0.250 / not defined (9) | – |" in text
    assert "above 2 %" not in text


def test_a_cell_without_a_number_has_its_reason():
    (row,) = rounded([{"size": "x", "value": None, "count": 3, "undefined": {"value": "no masks"}}], ["count", "value"])
    assert row == {"count": "3", "value": "no masks"}


# --- published


def test_on_other_data_than_theirs_no_published_number_is_shown(params):
    text = published_section(rows(dfr_nut=0.9), params)
    assert "not comparable" in text
    assert "|" not in text


def test_on_their_data_ours_stand_beside_the_published(root):
    raw = yaml.safe_load((root / "params.yaml").read_text())
    params = parse_params(raw | {"categories": ["wood"], "methods": {"dfr": {}}, "published_as": "MVTec AD"})
    text = published_section(rows(dfr_wood=0.9), params)
    draem = next(e for e in published()["entries"] if e["id"] == "draem_paper")["per_category"]["wood"]["image_auroc"]
    lines = text[text.index("### Image AUROC") :].splitlines()
    assert lines[2].startswith("| category | DFR, ours | draem_paper |")
    assert lines[4].startswith(f"| wood | 0.900 | {draem / 100:.3f} |")


# --- LaTeX, curves


def test_the_latex_tables_are_escaped_and_complete():
    text = results_latex(rows(dfr_nut=0.9, dmad_nut=0.8), "50 % of a_b.")
    assert "nut & 0.900 & 0.800 \\\\" in text
    assert "50 \\% of a\\_b." in text
    assert text.count("\\begin{table}") == text.count("\\end{table}") > 3


def test_curves_of_all_runs_keep_their_ends(params, tmp_path):
    file = tmp_path / "evaluate" / "dfr-nut-0" / "roc.csv"
    file.parent.mkdir(parents=True)
    points = [{"false_positive_rate": i / 399, "true_positive_rate": 1.0} for i in range(400)]
    write_csv(points, file, list(points[0]))
    found = all_curves(params, tmp_path, "roc")
    assert {(row["method"], row["category"]) for row in found} == {("dfr", "nut")}
    assert len(found) <= 110
    assert [float(found[i]["false_positive_rate"]) for i in (0, -1)] == [0.0, 1.0]


def test_the_confusion_matrix_counts_and_an_undefined_curve_says_so():
    scores, labels = np.array([0.1, 0.9, 0.2, 0.8, 0.9]), np.array([False, False, True, True, True])
    texts = [text.get_text() for text in confusion_figure(scores, labels, 0.5).axes[0].texts]
    assert texts == ["1", "1", "1", "2"]
    figure = curves_figure(dict.fromkeys(KINDS), dict.fromkeys(KINDS))
    assert "not defined" in figure.axes[0].get_title()


def test_labels_that_all_methods_contradict_are_listed_the_clearest_first(params, tmp_path):
    category = params.categories[0]
    for method in params.methods:
        if is_baseline(method):
            continue
        folder = tmp_path / f"evaluate/{method}-{category}-0"
        folder.mkdir(parents=True)
        (folder / "metrics.json").write_text('{"image_threshold": 2.0}')
        b = 1.0 if method == "dmad" else 5.0  # one method finds nothing in it
        rows = [("good/a.png", 0, 4.0), ("good/b.png", 0, b), ("good/c.png", 0, 6.0), ("dent/d.png", 1, 1.5)]
        lines = "".join(f"{image},{label},{score}\n" for image, label, score in rows)
        (folder / "scores.csv").write_text(f"image,anomalous,score\n{lines}")
    text = review_section(params, tmp_path)
    assert f"| {category} | labelled normal, anomalous to all methods | `good/c.png`, `good/a.png` |" in text
    assert f"| {category} | labelled anomalous, normal to all methods | `dent/d.png` |" in text
    (folder / "scores.csv").unlink()
    assert review_section(params, tmp_path) == ""
