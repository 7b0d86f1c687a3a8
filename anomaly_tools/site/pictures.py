"""Pictures in a notebook's outputs: where their alternative text is, and how they become plain HTML with it."""

import base64
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

from anomaly_lib.figures.display import image_element

IMAGE_KINDS = ("image/png", "image/jpeg", "image/gif")
DATA_URI = re.compile(r'src="data:(image/[a-z]+);base64,([^"]+)"')
ALT_LENGTH = 300  # characters of a derived alternative text


def bare_kind(output) -> str | None:
    """The image type of an output that is a plain image, which has no alternative text, or None."""
    data = output.get("data", {})
    return None if "text/html" in data else next((kind for kind in IMAGE_KINDS if kind in data), None)


def kinds_shown(output) -> list[str]:
    """The types of all images that a notebook's output holds, plain or in HTML."""
    bare = bare_kind(output)
    return [bare] if bare else [found[1] for found in DATA_URI.finditer(output.get("data", {}).get("text/html", ""))]


def pictures(notebook) -> Iterator[tuple[int, str]]:
    """(position of the cell, image type) of each image that the notebook's code cells have put out."""
    for position, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", []):
            yield from ((position, kind) for kind in kinds_shown(output))


def derived_alt(notebook, position: int) -> str:
    """What the text around a picture says of it: the heading above, and the paragraph before its cell.

    Worse than a description, better than nothing: used where a notebook shows a bare matplotlib figure.
    """
    texts = [cell.source for cell in notebook.cells[:position] if cell.cell_type == "markdown"]
    headings = re.findall(r"^#+ +(.+)$", "\n".join(texts), re.MULTILINE)
    paragraphs = [p for p in (texts[-1] if texts else "").split("\n\n") if p.strip() and not p.startswith("#")]
    words = re.sub(r"\[([^\]]+)\]\([^)]*\)|[*`$]", r"\1", paragraphs[-1] if paragraphs else "")
    return f"{headings[-1] if headings else 'Figure'}: {' '.join(words.split())}"[:ALT_LENGTH].strip(": ")


def html_picture(output, alt: str) -> str:
    """An ``img`` element that holds a plain image output, with the words ``alt``."""
    return image_element(base64.b64decode(output["data"][bare_kind(output)]), alt)


def with_stored_pictures(text: str, folder: Path, address: str) -> str:
    """HTML in which each image that it holds itself has become a file of ``folder``."""

    def stored(found: re.Match) -> str:
        return f'src="{address}/{_stored(base64.b64decode(found[2]), found[1], folder)}"'

    return DATA_URI.sub(stored, text)


def _stored(content: bytes, kind: str, folder: Path) -> str:
    name = f"{hashlib.sha256(content).hexdigest()[:20]}.{kind.rpartition('/')[2]}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)
    return name
