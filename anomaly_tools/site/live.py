"""The live page's place in the site: the page itself where ``make live`` has written it, else a picture with words."""

import re
import shutil
from pathlib import Path

BUILT, FOLDER = Path("build/live"), "live"
"""Where ``make live`` writes it, and where it stands in the site."""
MARK = re.compile(r"<!-- live: (?P<category>\w+)(?P<mode>/look)? -->\s*(?P<twin>.*?)\s*<!-- /live -->", re.DOTALL)
"""In a page or a notebook: here is the live page, opened with this category; with ``/look`` it asks for no prediction.
Between the marks stands what is seen on GitHub, in JupyterLab, and in a site without trained models."""
PICTURE = "docs/live.png"
FRAME = """<figure class="live">
<iframe src="{home}live/index.html#{address}" title="Three detectors, live: paint a defect, see what they see"></iframe>
<img src="{home}live/{category}/twin.png" alt="{alt}">
<figcaption>Three trained models, running in this page;
<a href="{home}live/index.html#{address}">open it on its own</a>. Nothing leaves your computer.</figcaption>
</figure>
<script>
addEventListener("message", (event) => {{
  const frames = [...document.querySelectorAll(".live iframe")], height = event.data.liveHeight;
  const frame = frames.find((frame) => frame.contentWindow === event.source);
  if (frame && height) frame.style.height = `${{height + 24}}px`;
}});
</script>"""


def with_live_page(text: str, root: Path, page: Path) -> str:
    """Markdown or HTML of a page (relative to ``root``) whose marks have become the live page or its twin."""
    home = "../" * (len(page.parts) - 1)

    def part(found: re.Match) -> str:
        there = sorted(file.parent.name for file in (root / BUILT).glob("*/twin.png"))
        if not there:
            return found["twin"]
        category = found["category"] if found["category"] in there else there[0]
        alt = f"Test photos of the category {category}, and what the three detectors make of them"
        return FRAME.format(home=home, category=category, address=f"{category}{found['mode'] or ''}", alt=alt)

    return MARK.sub(part, text)


def copy_live_page(root: Path, html: Path) -> None:
    """Put the live page into the site's folder, or take an old one out."""
    shutil.rmtree(html / FOLDER, ignore_errors=True)
    if (root / BUILT / "index.html").is_file():
        shutil.copytree(root / BUILT, html / FOLDER)
