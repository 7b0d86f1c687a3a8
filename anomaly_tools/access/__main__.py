"""Everything that a machine can say about access, one line each.

    python -m anomaly_tools.access             sources and style
    python -m anomaly_tools.access FOLDER …    also the executed notebooks in these folders

Exit code 0: nothing but what is known (anomaly_tools/access/finding.py says why). 1: something else.
"""

import argparse
import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat

from anomaly_lib.params import project_root
from anomaly_tools import PACKAGES
from anomaly_tools.access.colours import check_code, check_style_sheet, constants
from anomaly_tools.access.finding import KNOWN, Finding
from anomaly_tools.access.markdown import check_page, count_images
from anomaly_tools.access.notebooks import check_notebook, check_outputs
from anomaly_tools.site.pictures import pictures

PAGES = ("README.md", "docs/**/*.md", "benchmarks/*.md", "reports/results.md", "reports/*/results.md")
STYLES = ("docs/*.css", *(f"{package}/**/*.{kind}" for package in PACKAGES for kind in ("css", "html")))


def findings(root: Path) -> Iterator[Finding]:
    """All findings in the pages, notebooks, modules and style sheets below ``root``."""
    for page in _files(root, PAGES):
        yield from check_page(page.read_text(encoding="utf-8"), page.relative_to(root))
    for file in _files(root, ("notebooks/**/[!.]*.ipynb",)):
        yield from check_notebook(nbformat.read(file, 4), file.relative_to(root))
    modules = _files(root, (*(f"{package}/**/*.py" for package in PACKAGES), "benchmarks/*.py"))
    trees = {file: ast.parse(file.read_text(encoding="utf-8")) for file in modules}
    known = constants(list(trees.values()))
    for file, tree in trees.items():
        yield from check_code(tree, file.relative_to(root), known)
    for file in _files(root, STYLES):
        yield from check_style_sheet(file.read_text(encoding="utf-8"), file.relative_to(root))


def output_findings(folder: Path) -> tuple[int, list[Finding]]:
    """How many images the executed notebooks in a folder show, and what is wrong with them."""
    found, count = [], 0
    for file in sorted(folder.rglob("[!.]*.ipynb")):
        notebook = nbformat.read(file, 4)
        count += len(list(pictures(notebook)))
        found += check_outputs(notebook, file)
    return count, found


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m anomaly_tools.access", description=__doc__.split("\n")[0])
    parser.add_argument("executed", type=Path, nargs="*", metavar="FOLDER", help="executed notebooks to look into")
    options = parser.parse_args(arguments)
    root = project_root()
    found = sorted(findings(root))
    new = [finding for finding in found if (str(finding.file), finding.rule) not in KNOWN]
    for finding in found:
        print(finding if finding in new else f"known: {finding}")
    images = sum(count_images(page.read_text(encoding="utf-8")) for page in _files(root, PAGES))
    print(f"{images} images in pages; {len(new)} findings, {len(found) - len(new)} known")
    for folder in options.executed:
        count, bare = output_findings(folder)
        print(*bare, sep="\n", end="\n" if bare else "")
        print(f"{folder}: {count} images in outputs, {len(bare)} findings")
        new += bare
    return 1 if new else 0


def _files(root: Path, patterns: tuple[str, ...]) -> list[Path]:
    return sorted({file for pattern in patterns for file in root.glob(pattern)})


if __name__ == "__main__":
    sys.exit(main())
