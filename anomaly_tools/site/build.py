"""Sphinx over the staged source, without network; a broken internal link is an error."""

import subprocess
import sys
from pathlib import Path

from anomaly_lib.base.errors import InputError
from anomaly_tools.site.live import copy_live_page
from anomaly_tools.site.stage import stage
from anomaly_tools.site.verify import external_links, verify

SOURCE, HTML = Path("build/site/source"), Path("build/site/html")


def build(root: Path, html: Path | None = None) -> Path:
    """Render the site into ``html`` (default: build/site/html) and return the home page.

    Raises InputError when Sphinx warns of anything: a link inside the site that leads nowhere, a formula or a
    docstring that cannot be read; or when a page would fetch something, shows an image without words, or links to
    nothing.
    """
    html = html or root / HTML
    source = html.parent / SOURCE.name
    stage(root, source)
    command = [sys.executable, "-m", "sphinx", "-b", "html", "-n", "-W", "--keep-going", "-q"]
    command += ["-D", f"html_static_path=site.css,{source.resolve() / '_static'}"]  # the staged pictures
    command += ["-c", str(root / "docs"), str(source), str(html)]
    if subprocess.run(command, cwd=root, check=False).returncode:
        raise InputError(f"{source}: Sphinx found what stands above; mend it in the page's own source")
    copy_live_page(root, html)
    problems = verify(html)
    if problems:
        raise InputError(f"{html}: " + "; ".join(problems[:5]) + f" ({len(problems)} in all)")
    (html.parent / "external_links.txt").write_text("\n".join(external_links(html)) + "\n", encoding="utf-8")
    return html / "index.html"
