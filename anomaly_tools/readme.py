"""The generated blocks of README.md and docs/evidence.md: results, contents of lessons, published numbers.

    python -m anomaly_tools.readme

A test holds them equal to what this module would write, so that no page can drift from what it speaks of.
"""

import sys
from collections.abc import Callable
from pathlib import Path

from anomaly_course.lessons.contents import contents
from anomaly_lib.base.errors import InputError, exit_code
from anomaly_lib.base.files import replacing
from anomaly_lib.params import load_params, project_root
from anomaly_lib.registry import is_baseline, shown_name
from anomaly_lib.reporting.report import SHOWN as COMPARED
from anomaly_lib.reporting.report import as_share, published
from anomaly_lib.reporting.results import TITLES, mean_cell, read_csv, table
from anomaly_lib.reporting.sections import ranking
from anomaly_lib.reporting.tables import markdown_table
from anomaly_tools import cards, evidence

PROFILE, REAL_PROFILE, PAPERS_PROFILE = "thorough", "elpv", "mvtec"
RELATED = {
    "draem_paper": "DRAEM, paper",
    "im_iad_draem": "DRAEM, reproduced by IM-IAD",
    "dfr_paper_l12": "DFR, paper, 12 layers",
    "dfr_paper_l16": "DFR, paper, 16 layers",
    "dfr_independent": "DFR, 12 layers, an independent run",
    "dmad_user_issue6": "DMAD, a user's run",
}
"""Published entries of the three methods themselves, which stand in the README beside ours."""
QUICK = ("dfr", "nut")
"""Method and category that `make quick` trains; the README shows this run, whatever its result."""
SHOWN = ("image_auroc", "pixel_auroc", "pixel_f1", "aupro_030")


def picture_block(root: Path) -> str:
    """The GIF under the title, and what it is true of. Raises InputError when the results are not there."""
    method, category = QUICK
    rows = [row for row in _rows(root, "") if not is_baseline(row["method"])]
    run = next(row for row in rows if (row["method"], row["category"]) == QUICK)
    rank = 1 + sum(row["image_auroc"] > run["image_auroc"] for row in rows)
    normal, anomalous = int(run["n_normal"]), int(run["n_anomalous"])
    alarms = round(float(run["image_false_positive_rate"]) * normal)
    found = round(run["image_f1"] * (alarms + anomalous) / (2 - run["image_f1"]))  # from F1 = 2 TP / (2 TP + FP + FN)
    name, file = shown_name(method), f"reports/gifs/{method}-{category}"
    words = "the outcome in words, photo with the true outline, anomaly map, pixels above the threshold"
    return (
        f"![{name} on {category}: {words}]({file}.gif)\n\n"
        f"{name} on {category}: the run that `make quick` makes. It was not picked by its result, which by image AUROC "
        f"({run['image_auroc']:.3f}) is number {rank} of the {len(rows)} in [results.md](reports/results.md). The "
        "pictures are the first test images of each type by name, found defects first. With its threshold, which comes "
        f"from normal images alone, it finds {found} of the {anomalous} defective parts of the test set, and of the "
        f"{normal} good ones it stops {alarms}. *Found* is what the score of the whole image says. "
        f"[The same without motion]({file}.png)."
    )


def results_block(root: Path) -> str:
    """Tables. Raises InputError when the results are not there."""
    rows = _rows(root, PROFILE)
    parts = [
        f"Sample data, profile `{PROFILE}`, {len({row['seed'] for row in rows})} random seeds: mean ± standard "
        "deviation (worst seed), last checkpoint; px: the side of the images that a method sees. No threshold, "
        "checkpoint or seed was chosen on test labels; default settings of the methods were, by people who had these "
        "test images in view ([protocol](docs/protocol.md)). All tables, intervals, results by type and size of "
        f"defect: [results.md](reports/{PROFILE}/results.md); what others measured: [evidence](docs/evidence.md).",
    ]
    for key in SHOWN:
        parts += [f"**{TITLES[key]}**", table(rows, key), ranking(rows, key)]
    return "\n\n".join(parts)


def real_block(root: Path) -> str:
    """What the same settings reach on real photos. Raises InputError when the results are not there."""
    rows = _rows(root, REAL_PROFILE)
    words = (
        f"Real photos: electroluminescence images of solar cells (ELPV), profile `{REAL_PROFILE}`, "
        f"{len({row['seed'] for row in rows})} random seeds, the root profile's settings, nothing tuned. Image AUROC "
        "of cells that experts called defective against normal ones; there are no masks. All tables, also of the cells "
        f"that the experts were not sure of: [results.md](reports/{REAL_PROFILE}/results.md)."
    )
    return f"{words}\n\n{table(rows, 'image_auroc')}\n\n{ranking(rows, 'image_auroc')}"


def papers_block(root: Path) -> str:
    """MVTec AD, that all three papers report: ours beside theirs. Raises InputError when the results are not there."""
    rows, params = _rows(root, PAPERS_PROFILE), load_params(root / "profiles" / PAPERS_PROFILE / "params.yaml")
    parts = [
        f"{params.published_as}, {' and '.join(params.categories)} (of fifteen categories; the others were not run), "
        f"profile `{PAPERS_PROFILE}`: the root profile's laptop settings, frozen before these photos were looked at, "
        f"{len({row['seed'] for row in rows})} random seeds, mean ± standard deviation (worst seed). In italics what "
        "others published for the same categories, with other networks, sizes and lengths of training "
        "([evidence](docs/evidence.md)); a dash: not published. All tables, intervals, and more metrics: "
        f"[results.md](reports/{PAPERS_PROFILE}/results.md); in words, what holds and what does not: "
        "[MVTec AD](docs/fidelity/mvtec.md)."
    ]
    for category in params.categories:
        lines: list[dict] = [
            {category: shown_name(name)} | {TITLES[key]: mean_cell(rows, name, category, key) for key in COMPARED}
            for name in params.methods
        ]
        for entry in published()["entries"]:
            found = entry["per_category"].get(category, {})
            if entry["id"] in RELATED and not found.keys().isdisjoint(COMPARED):
                shares = {TITLES[key]: as_share(found.get(key)) for key in COMPARED}
                lines.append({category: f"*{RELATED[entry['id']]}*"} | shares)
        parts.append(markdown_table(lines))
    return "\n\n".join(parts)


def _rows(root: Path, profile: str) -> list[dict]:
    file = root / "reports" / profile / "results.csv"
    if not file.is_file():
        raise InputError(f"{file}: not there; run 'make repro{profile and f' PROFILE={profile}'}'")
    return read_csv(file)


def lessons_block(root: Path) -> str:
    """The lessons' table of contents."""
    return contents(root, root)


BLOCKS = {
    "picture": picture_block,
    "papers": papers_block,
    "results": results_block,
    "real": real_block,
    "lessons": lessons_block,
}
PAGES: dict[str, dict[str, Callable[[Path], str]]] = {
    "README.md": BLOCKS,
    "docs/evidence.md": evidence.BLOCKS,
    **cards.PAGES,
}


def with_blocks(text: str, root: Path, page: str = "README.md") -> str:
    """A page's text with each block between its markers. Raises InputError when a marker is missing."""
    for name, make in PAGES[page].items():
        text = _with_block(text, name, make(root), page)
    return text


def _with_block(text: str, name: str, block: str, page: str) -> str:
    begin, end = f"<!-- {name}: generated, do not edit -->", f"<!-- {name}: end -->"
    if text.count(begin) != 1 or text.count(end) != 1:
        raise InputError(f"{page}: needs the markers {begin} and {end} once each")
    before, rest = text.split(begin)
    return f"{before}{begin}\n\n{block}\n\n{end}{rest.split(end)[1]}"


def write_blocks() -> None:
    """Write the blocks into their pages. Raises InputError when a marker or the results are not there."""
    for page in PAGES:
        file = project_root() / page
        text = with_blocks(file.read_text(encoding="utf-8"), project_root(), page)
        with replacing(file) as temporary:
            temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(exit_code(write_blocks))
