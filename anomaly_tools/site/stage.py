"""The source folder of the site: this repository's own pages and notebooks, in its own order, so that links hold."""

import re
import shutil
from pathlib import Path

import nbformat

from anomaly_course.lessons.cells import lesson_files
from anomaly_lib.base.errors import InputError
from anomaly_tools import PACKAGES
from anomaly_tools.site.execute import executed_copy, pipeline_copy, sources
from anomaly_tools.site.live import MARK, PICTURE, with_live_page
from anomaly_tools.site.notebooks import readable, with_note_if_not_executed

PAGES = (
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "docs/**/*.md",
    "benchmarks/README.md",
    "reports/results.md",
    "reports/thorough/results.md",
    "reports/elpv/results.md",
    "reports/mvtec/results.md",
    "reports/thorough/times.md",
)
FILES = ("reports/**/figures/*.png", "reports/**/gifs/*", PICTURE, "LICENSE", "CITATION.cff")
PICTURES = "_static/pictures"
WIDE = "---\nhide-toc: true\n---\n"
"""The home page needs the width for the live page."""
CONTENTS = """

```{{toctree}}
:hidden:
:caption: {title}

{entries}
```
"""


def stage(root: Path, target: Path) -> None:
    """Write the site's source into the folder ``target``, which is made anew.

    Raises InputError when a notebook or a page cannot be read.
    """
    shutil.rmtree(target, ignore_errors=True)
    (target / PICTURES).mkdir(parents=True)  # also where no notebook was executed: Sphinx warns of a missing folder
    pages = sorted({page.relative_to(root) for pattern in PAGES for page in root.glob(pattern)})
    for page in pages:
        text = with_live_page((root / page).read_text(encoding="utf-8"), root, page)
        _write(target / page, _with_home_links(text, page))
    for file in (file for pattern in FILES for file in root.glob(pattern) if "smoke" not in file.parts):
        copy = target / file.relative_to(root)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)
    notebooks = sorted(file.relative_to(root) for file in (root / "notebooks").glob("**/[!.]*.ipynb"))
    notebooks = [file for file in notebooks if not any(part.startswith(".") for part in file.parts)]
    for notebook in notebooks:
        _stage_notebook(root, notebook, target)
    api = _stage_api(root, target)
    (target / "index.md").write_text(_home(root, notebooks, pages, api), encoding="utf-8")


def _with_home_links(text: str, page: Path) -> str:
    """Links to the README lead to the home page."""
    home = "../" * (len(page.parts) - 1)
    return re.sub(rf"\]\({re.escape(home)}README\.md", f"]({home}index.md", text) if home else text


def _stage_notebook(root: Path, notebook: Path, target: Path) -> None:
    copy = executed_copy(root, notebook) if notebook in sources(root) else pipeline_copy(root, notebook.stem)
    source = copy if copy is not None and copy.is_file() else root / notebook
    try:
        content = nbformat.read(source, 4)
    except (ValueError, nbformat.reader.NotJSONError) as error:
        raise InputError(f"{source}: not a notebook ({error}); remove it, or restore it with git checkout") from None
    address = "../" * (len(notebook.parts) - 1) + PICTURES
    content = with_note_if_not_executed(readable(content, target / PICTURES, address))
    for cell in content.cells:
        if cell.cell_type == "markdown":
            cell["source"] = with_live_page(_with_home_links(cell.source, notebook), root, notebook)
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if "text/markdown" in data:  # paths in a report are seen from the project's root
                data["text/markdown"] = data["text/markdown"].replace("](reports/", "](../reports/")
            if mark := MARK.search(data.get("text/html", "")):  # a link for Voila; here the page itself, or words
                output["data"] = {"text/markdown": with_live_page(f"{mark[0]}", root, notebook)}
    _write(target / notebook, nbformat.writes(content))


def _stage_api(root: Path, target: Path) -> list[Path]:
    """A page for each room of the three packages, with all its public modules."""
    modules = {}
    for file in (file for package in PACKAGES for file in sorted((root / package).rglob("*.py"))):
        parts = file.relative_to(root).with_suffix("").parts
        if parts[-1] == "__main__":
            continue
        room = ".".join(parts[:2]) if len(parts) > 2 else parts[0]
        modules.setdefault(room, []).append(".".join(part for part in parts if part != "__init__"))
    for room, names in modules.items():
        blocks = [_api_block(root, name) for name in names]
        _write(target / _api_page(room), "\n".join([f"# {room}\n", *blocks]))
    return [_api_page(room) for room in modules]


def _api_page(room: str) -> Path:
    return Path(f"api/{room.removeprefix('anomaly_lib.')}.md")


def _api_block(root: Path, name: str) -> str:
    # what a package passes on from its modules is listed there
    listed = "   :no-index:\n" if (root / name.replace(".", "/")).is_dir() else ""
    return f"## {name}\n\n```{{eval-rst}}\n.. automodule:: {name}\n   :members:\n{listed}```\n"


def _home(root: Path, notebooks: list[Path], pages: list[Path], api: list[Path]) -> str:
    lessons = [file.relative_to(root) for file in lesson_files(root)]
    scratch = [page for page in notebooks if page.parent.name == "from_scratch"]
    docs = [page for page in pages if page.parts[0] == "docs"]
    ledgers = [page for page in docs if "fidelity" in page.parts]
    teaching = [page for page in docs if "teach" in page.parts]
    methods = [page for page in docs if "methods" in page.parts]
    other = [page for page in pages if page not in {*ledgers, *teaching, *methods}]
    groups = {
        "Methods": methods,
        "Lessons": lessons,
        "From scratch": scratch,
        "The pipeline's notebooks": [page for page in notebooks if page.parent.name == "notebooks"],
        "Demos, as stills": [page for page in notebooks if page.parent.name == "demos"],
        "Fidelity ledgers": ledgers,
        "Teaching": sorted(teaching, key=lambda page: page.name != "README.md"),
        "Data, how-to, results": other,
        "API": api,
    }
    contents = [
        CONTENTS.format(title=title, entries="\n".join(str(page.with_suffix("")) for page in entries))
        for title, entries in groups.items()
        if entries
    ]
    text = _live_page_first((root / "README.md").read_text(encoding="utf-8"))
    return WIDE + with_live_page(text, root, Path("README.md")) + "".join(contents)


def _live_page_first(text: str) -> str:
    """The README with its place for the live page right below the title: who only looks sees that first."""
    mark = MARK.search(text)
    title, _, rest = text.replace(mark[0] if mark else "", "", 1).partition("\n")
    return f"{title}\n\n{mark[0]}\n{rest}" if mark else text


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
