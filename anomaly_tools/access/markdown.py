"""Markdown: every image has alternative text, headings are in order, and motion has a still."""

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from anomaly_tools.access.finding import Finding

CODE = re.compile(r"^(```|~~~).*?^\1|`[^`\n]*`", re.MULTILINE | re.DOTALL)
IMAGE = re.compile(r"!\[(?P<alt>[^\]]*)\]\((?P<address>[^)\s]+)[^)]*\)")
TAG = re.compile(r"<img\b[^>]*>", re.IGNORECASE)
NO_WORDS = {"", "image", "figure", "picture", "plot", "img", "alt"}


def check_page(text: str, file: Path) -> Iterator[Finding]:
    """Findings of a whole page of Markdown: one H1, no level skipped, images, stills."""
    text = without_code(text)
    yield from check_headings(re.findall(r"^(#+) ", text, re.MULTILINE), file)
    yield from check_images(text, file)
    yield from check_stills(text, file)


def without_code(text: str) -> str:
    """The text with code blanked: what looks like a heading or an image there is none."""
    return CODE.sub("", text)


def check_headings(marks: list[str], file: Path) -> Iterator[Finding]:
    """``marks`` are the headings in order, each as its ``#`` signs."""
    levels = [len(mark) for mark in marks]
    if levels.count(1) != 1 or levels[0] != 1:
        yield Finding(file, "headings", "heading", f"{levels.count(1)} of level 1; begin with one, and have no other")
    for before, level in pairwise(levels):
        if level > before + 1:
            yield Finding(file, "headings", "heading", f"level {level} follows level {before}; use {before + 1}")


def check_images(text: str, file: Path, place: str = "") -> Iterator[Finding]:
    """Images in Markdown and in HTML without alternative text, or with a word that says nothing."""
    for found in IMAGE.finditer(text):
        if found["alt"].strip().lower() in NO_WORDS:
            yield Finding(file, place or found["address"], "alt", "no alternative text; say what the picture shows")
    for tag in TAG.findall(text):
        alt = re.search(r"""\balt=(["'])(.*?)\1""", tag)
        if alt is None or alt[2].strip().lower() in NO_WORDS:
            yield Finding(
                file, place or "img", "alt", "no alternative text; give the img an alt that says what it shows"
            )


def check_stills(text: str, file: Path) -> Iterator[Finding]:
    """A moving picture without its still, NAME.png for NAME.gif, linked or shown on the same page."""
    for address in re.findall(r"!\[[^\]]*\]\(([^)\s]+)\.gif\)", text):
        if f"]({address}.png)" not in text:
            yield Finding(file, f"{address}.gif", "still", f"moves; link {address}.png beside it")


def count_images(text: str) -> int:
    """How many images a text shows."""
    text = without_code(text)
    return len(IMAGE.findall(text)) + len(TAG.findall(text))
