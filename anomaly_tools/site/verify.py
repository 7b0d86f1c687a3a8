"""What Sphinx does not look at: that rendered pages fetch nothing, lose no link, and show no image without words."""

from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

FETCHED = {("script", "src"), ("link", "href"), ("img", "src"), ("iframe", "src"), ("source", "src"), ("video", "src")}
WIDGET = "application/vnd.jupyter.widget-view+json"


class Page(HTMLParser):
    """Addresses, images and widgets of one page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.links: list[str] = []
        self.bare_images: list[str] = []
        self.widgets = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        for name, value in attrs:
            if (tag, name) in FETCHED and value:
                self.fetched.append(value)
        if tag == "a" and given.get("href"):
            self.links.append(given["href"])
        if tag == "img" and not (given.get("alt") or "").strip():
            self.bare_images.append((given.get("src") or "")[:80])
        self.widgets += tag == "script" and given.get("type") == WIDGET


def verify(html: Path) -> list[str]:
    """Problems of the pages in the folder ``html``, a line each; none is an empty list."""
    return [problem for file in sorted(html.rglob("*.html")) for problem in _problems(file, html)]


def external_links(html: Path) -> list[str]:
    """Addresses outside of the site, sorted: listed, not fetched."""
    pages = (Page(file.read_text(encoding="utf-8")) for file in html.rglob("*.html"))
    return sorted({link for page in pages for link in page.links if urlsplit(link).scheme in ("http", "https")})


def _problems(file: Path, html: Path) -> Iterator[str]:
    page = Page(file.read_text(encoding="utf-8"))
    name = file.relative_to(html)
    yield from (f"{name}: an image without alternative text: {source}" for source in page.bare_images)
    if page.widgets:
        yield f"{name}: {page.widgets} widget(s) without a still: an empty place"
    for address in page.fetched:
        if urlsplit(address).netloc:
            yield f"{name}: fetches {address}; a page must not need the network"
    for address in {*page.fetched, *page.links}:
        parts = urlsplit(address)
        if parts.scheme or parts.netloc or not parts.path:
            continue
        if not (file.parent / unquote(parts.path)).exists():
            yield f"{name}: a link that leads nowhere: {address}"
