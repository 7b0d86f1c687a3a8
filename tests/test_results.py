"""Tables: averages are computed from rows, missing is missing, never 0."""

import csv
import json

import pytest
import yaml

from anomaly_lib.params import load_params, parse_params
from anomaly_lib.reporting.report import results_markdown
from anomaly_lib.reporting.results import (
    COLUMNS,
    averages,
    collect,
    parts_table,
    table,
)
from anomaly_lib.reporting.tables import write_csv


@pytest.fixture
def params(root):
    raw = yaml.safe_load((root / "params.yaml").read_text())
    return parse_params(raw | {"categories": ["nut", "wood"], "seeds": [0, 1], "methods": {"dfr": {}}})


@pytest.fixture
def reports(tmp_path):
    """Runs of nut with two seeds, and of wood with one."""
    for key, value in (("dfr-nut-0", 0.9), ("dfr-nut-1", 0.7), ("dfr-wood-0", 0.6)):
        file = tmp_path / "evaluate" / key / "metrics.json"
        file.parent.mkdir(parents=True)
        reasons = {"aupro_030": "the data set has no masks"}
        file.write_text(json.dumps({"image_auroc": value, "image_size": 64, "aupro_030": None, "undefined": reasons}))
    return tmp_path


def test_a_cell_is_mean_and_spread_over_seeds_or_not_run(params, reports):
    lines = table(collect(params, reports), "image_auroc").splitlines()
    assert lines[0] == "| method | px | average | nut | wood |"
    assert lines[2] == "| DFR | 64 | – | 0.800 ± 0.141 (0.700) | not run |"


def test_an_undefined_metric_says_so_and_its_reason_is_given(params, reports):
    rows = collect(params, reports)
    assert "| not defined |" in table(rows, "aupro_030")
    assert "* nut, aupro_030: the data set has no masks" in results_markdown(rows, params, {"python": "3.11"}, reports)


def test_the_average_is_over_categories_and_absent_unless_all_are_there(params, reports):
    rows = collect(params, reports)
    assert averages(rows)["dfr"]["image_auroc"] is None
    complete = [row | {"image_auroc": row.get("image_auroc", 0.4)} for row in rows]
    assert averages(complete)["dfr"]["image_auroc"] == pytest.approx((0.8 + 0.5) / 2)


def test_the_csv_has_a_line_a_run_and_empty_fields_for_missing_numbers(params, reports, tmp_path):
    write_csv(collect(params, reports), tmp_path / "results.csv", COLUMNS)
    lines = list(csv.DictReader((tmp_path / "results.csv").open()))
    assert list(lines[0]) == list(COLUMNS)
    assert [(line["category"], line["seed"], line["image_auroc"]) for line in lines] == [
        ("nut", "0", "0.9"),
        ("nut", "1", "0.7"),
        ("wood", "0", "0.6"),
        ("wood", "1", ""),
    ]


def test_columns_stand_in_the_order_of_the_profile_and_mvtec_ads_textures_come_first(params, reports):
    turned = params.model_copy(update={"categories": ["wood", "nut"]})
    assert table(collect(turned, reports), "image_auroc").startswith("| method | px | average | wood | nut |")
    assert load_params("profiles/paper/params.yaml").categories[:5] == ["carpet", "grid", "leather", "tile", "wood"]


def test_the_report_of_a_profile_without_runs_is_all_not_run(params, tmp_path):
    text = results_markdown(collect(params, tmp_path), params, {"python": "3.11"}, tmp_path)
    assert "runs: 0 of 4" in text
    assert "| DFR | – | – | not run | not run |" in text
    assert "0.000" not in text
    assert "## Intervals" not in text


def test_the_parts_of_a_score_have_a_table_with_the_oracle_last(params, reports):
    rows = collect(params, reports)
    assert parts_table(rows) is None
    assert "Parts of the image score" not in results_markdown(rows, params, {"python": "3.11"}, reports)
    runs = [(0, 0.8, 0.9), (1, 0.7, 0.6)]
    rows = [
        {"method": "dfr", "category": "nut", "seed": seed, "parts": {"map only": alone, "with deformation": both}}
        for seed, alone, both in runs
    ]
    assert parts_table(rows).splitlines()[2:] == [
        "| dfr: map only | – | 0.750 | 0.750 ± 0.071 (0.700) |",
        "| dfr: with deformation | – | 0.750 | 0.750 ± 0.212 (0.600) |",
        "| dfr: the better one, oracle | – | 0.800 | 0.800 ± 0.141 (0.700) |",
    ]
