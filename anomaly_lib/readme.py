"""The generated block of README.md: tables and a picture, from the files that the pipeline wrote.

    python -m anomaly_lib.readme

A test holds the block equal to what this module would write, so that the README cannot drift from the results.
"""

import sys
from pathlib import Path

from anomaly_lib.errors import InputError
from anomaly_lib.files import replacing
from anomaly_lib.params import project_root
from anomaly_lib.reporting.results import METRICS, read_csv, table

BEGIN, END = "<!-- results: generated, do not edit -->", "<!-- results: end -->"
PROFILE = "thorough"
SHOWN = ("image_auroc", "pixel_auroc", "pixel_f1", "aupro_030")
PICTURE = "reports/gifs/dfr-nut.gif"


def generated_block(root: Path) -> str:
    """The Markdown between the markers. Raises InputError when the results are not there."""
    file = root / "reports" / PROFILE / "results.csv"
    if not file.is_file():
        raise InputError(f"{file}: not there; run 'make repro PROFILE={PROFILE}'")
    rows = read_csv(file)
    parts = [
        f"![DFR on hex nuts: input, truth, anomaly map and pixels above the threshold]({PICTURE})\n"
        f"([still]({PICTURE.removesuffix('gif')}png))",
        f"Sample data, profile `{PROFILE}`, {len({row['seed'] for row in rows})} random seeds: mean ± standard "
        "deviation (worst seed), last checkpoint, nothing chosen on test labels. All tables, intervals, results by "
        f"type and size of defect, and published numbers: [results.md](reports/{PROFILE}/results.md).",
    ]
    titles = {metric.key: metric.title for metric in METRICS}
    parts += [f"**{titles[key]}**\n\n{table(rows, key)}" for key in SHOWN]
    return "\n\n".join(parts)


def with_block(readme: str, block: str) -> str:
    """The README's text with the block between its markers. Raises InputError when a marker is missing."""
    if readme.count(BEGIN) != 1 or readme.count(END) != 1:
        raise InputError(f"README.md: needs the markers {BEGIN} and {END} once each")
    before, rest = readme.split(BEGIN)
    return f"{before}{BEGIN}\n\n{block}\n\n{END}{rest.split(END)[1]}"


def main() -> int:
    try:
        readme = project_root() / "README.md"
        text = with_block(readme.read_text(encoding="utf-8"), generated_block(readme.parent))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    with replacing(readme) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
