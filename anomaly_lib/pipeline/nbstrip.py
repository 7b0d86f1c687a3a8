"""Canonical, output-free copies of notebooks: what the pipeline's stages depend on.

    python -m anomaly_lib.pipeline.nbstrip notebooks build/notebooks    copies, for the pipeline
    python -m anomaly_lib.pipeline.nbstrip --in-place notebooks         before a commit

Saving a notebook with outputs changes the file that DVC hashes, but not its canonical copy, so nothing re-runs.
"""

import argparse
import sys
from pathlib import Path

import nbformat

from anomaly_lib.base.errors import InputError, exit_code
from anomaly_lib.base.files import replacing

METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def canonical_source(notebook):
    """Sources, tags, folded sources and positional cell ids only. Changes the notebook in place and returns it."""
    notebook.metadata = nbformat.from_dict(METADATA)
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    for position, cell in enumerate(notebook.cells):
        kept = {"tags": cell.metadata.get("tags")}
        if cell.metadata.get("jupyter", {}).get("source_hidden"):
            kept["jupyter"] = {"source_hidden": True}  # a lesson's solution stays folded
        cell["id"] = f"cell-{position}"
        cell["metadata"] = nbformat.from_dict({key: value for key, value in kept.items() if value})
        if cell.cell_type == "code":
            cell["outputs"], cell["execution_count"] = [], None
    return notebook


def read_notebook(file: Path) -> nbformat.NotebookNode:
    """A notebook in nbformat 4. Raises InputError for a file that is missing or no notebook."""
    broken = (OSError, ValueError, KeyError, TypeError, AttributeError, nbformat.ValidationError)
    try:
        notebook = nbformat.read(file, 4)
        nbformat.validate(notebook)
    except FileNotFoundError:
        raise InputError(f"{file}: no such notebook") from None
    except (*broken, nbformat.reader.NotJSONError) as error:
        first = str(error).partition("\n")[0]
        raise InputError(f"{file}: not a notebook ({first}); restore it with git checkout") from None
    return notebook


def strip(source: Path, target: Path) -> None:
    """Write the canonical copy of each ``*.ipynb`` in the folder ``source`` into the folder ``target``."""
    notebooks = sorted(source.glob("[!.]*.ipynb"))  # a hidden one is half a file that a kill left
    if not notebooks:
        raise InputError(f"{source}: holds no notebook")
    for file in notebooks:
        notebook = canonical_source(read_notebook(file))
        with replacing(target / file.name) as temporary:
            nbformat.write(notebook, temporary)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m anomaly_lib.pipeline.nbstrip", description=__doc__.split("\n")[0])
    parser.add_argument("source", type=Path, help="folder with notebooks")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("target", type=Path, nargs="?", help="folder for the copies")
    where.add_argument("--in-place", action="store_true", help="overwrite the notebooks themselves")
    options = parser.parse_args(arguments)
    return exit_code(lambda: strip(options.source, options.source if options.in_place else options.target))


if __name__ == "__main__":
    sys.exit(main())
