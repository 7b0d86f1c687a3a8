"""The README: its generated blocks are current, its links and commands exist."""

import re

import pytest

from anomaly_lib.base.errors import InputError
from anomaly_lib.reporting.report import published
from anomaly_tools import frozen
from anomaly_tools.readme import PAGES, QUICK, picture_block, with_blocks


@pytest.mark.parametrize("page", PAGES)
def test_the_generated_blocks_are_current(root, page):
    text = (root / page).read_text()
    assert text == with_blocks(text, root, page), "run python -m anomaly_tools.readme"


def test_each_published_entry_says_where_it_stands_and_its_rows_agree_with_its_mean_unless_it_says_not(root):
    page = (root / "docs/evidence.md").read_text()
    for entry in published()["entries"]:
        assert entry["checked"] in published()["about"]["checked"]
        assert entry["confidence"] in published()["about"]["confidence"]
        assert entry["source"] in page
        for key, stated in entry["mean"].items():
            rows = [values[key] for values in entry["per_category"].values() if key in values]
            if len(rows) == 15 and "own fifteen rows" not in entry.get("notes", ""):
                rounding = 0.55 if entry["id"].startswith("dfr_paper") else 0.11  # two decimals of a share
                assert sum(rows) / 15 == pytest.approx(stated, abs=rounding), (entry["id"], key)


def test_the_hash_of_frozen_params_is_that_of_the_results_page(root):
    for line in frozen.frozen().splitlines()[2:]:
        assert re.search(r"\| \w+ \| `[0-9a-f]{16}` \|$", line), line


def test_the_picture_is_of_the_run_that_make_quick_makes(root):
    recipe = (root / "Makefile").read_text().split("\nquick:")[1]
    assert "repro METHODS={} CATEGORIES={}\n".format(*QUICK) in recipe.split("\n\n")[0] + "\n"


def test_the_pictures_caption_counts_what_was_found_and_ranks_the_run(tmp_path):
    head = "method,category,image_auroc,image_f1,image_false_positive_rate,n_normal,n_anomalous"
    # 8 of 10 found, 2 of 20 stopped: F1 = 16 / (16 + 2 + 2)
    rows = ["dfr,nut,0.9,0.8,0.1,20,10", "dmad,nut,0.95,1,0,20,10", "draem,nut,0.8,1,0,20,10", "padim,nut,1,1,0,20,10"]
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports/results.csv").write_text("\n".join([head, *rows]))
    block = picture_block(tmp_path)
    assert "(0.900) is number 2 of the 3" in block
    assert "it finds 8 of the 10 defective parts of the test set, and of the 20 good ones it stops 2." in block


def test_a_lost_marker_is_named(root):
    text = (root / "README.md").read_text().replace("<!-- lessons: end -->", "")
    with pytest.raises(InputError, match="<!-- lessons: end --> once each"):
        with_blocks(text, root)


def test_every_link_to_a_file_leads_somewhere(root):
    for page in [root / "README.md", *root.glob("docs/**/*.md"), *root.glob("benchmarks/*.md")]:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_make_target_that_is_named_exists(root):
    targets = set(re.findall(r"^([a-z-]+):", (root / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"`?make ([a-z-]+)", (root / "README.md").read_text()))
    assert {"repro", "test", "lab"} <= named <= targets


def test_every_profile_is_named(root):
    text = (root / "README.md").read_text()
    assert all(f"`{folder.name}`" in text for folder in (root / "profiles").iterdir())


def test_every_picture_has_alternative_text(root):
    for page in [root / "README.md", *root.glob("docs/**/*.md"), *root.glob("reports/**/results.md")]:
        assert all(alt.strip() for alt in re.findall(r"!\[([^\]]*)\]", page.read_text())), page
