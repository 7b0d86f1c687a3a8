"""``make lab`` opens the repository: every link of every notebook leads somewhere there, and a click follows one."""

import json
import re
from pathlib import Path
from posixpath import normpath
from urllib.error import HTTPError
from urllib.parse import quote, unquote
from urllib.request import Request, urlopen

import nbformat
import pytest

from anomaly_course.lessons.cells import LESSONS
from anomaly_course.lessons.contents import contents
from anomaly_tools.lab import START
from anomaly_tools.lesson_copies import write_copies
from tests.browser import COPIES, PATIENCE, chromium, jupyterlab

__all__ = ["chromium", "jupyterlab"]  # fixtures
LINK = re.compile(r"\]\((?!\w+:|#)([^)\s#]+)[^)]*\)|<(?:a|img)\b[^>]*(?:href|src)=\"(?!\w+:|#)([^\"#]+)")


def model(server, path: str) -> dict:
    """What the server says of a file or folder; it answers JupyterLab's clicks the same way."""
    request = Request(f"{server.url}/api/contents/{quote(path)}?content=0")
    request.add_header("Authorization", f"token {server.token}")
    with urlopen(request) as answer:
        return json.load(answer)


def links(text: str, folder: str) -> set[str]:
    """Paths, from the server's root, that a text in this folder links to."""
    return {normpath(f"{folder}/{unquote(one or other)}") for one, other in LINK.findall(text)}


def links_of(file: Path, root: Path) -> set[str]:
    folder = file.parent.relative_to(root).as_posix()
    cells = [cell.source for cell in nbformat.read(file, 4).cells if cell.cell_type == "markdown"]
    return links("\n".join(cells), folder)


def test_every_link_of_every_notebook_and_course_copy_leads_somewhere(jupyterlab, root):
    course = write_copies(root, COPIES / "course")
    files = [*root.glob("notebooks/[!.]*.ipynb"), *root.glob("notebooks/[!.]*/[!.]*.ipynb"), *course]
    wanted = {target: file for file in files for target in links_of(file, root)}
    wanted |= dict.fromkeys(links(contents(root, root / LESSONS), LESSONS.as_posix()), START)
    assert {"README.md", "reports/results.md", "docs/fidelity/draem.md"} <= set(wanted)
    broken = []
    for target, file in wanted.items():
        try:
            model(jupyterlab, target)
        except HTTPError as error:
            broken.append(f"{file}: {target} ({error.code})")
    assert broken == []


def test_a_click_in_the_first_lesson_opens_the_page_that_it_names(chromium, jupyterlab):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    wait = WebDriverWait(chromium, PATIENCE, poll_frequency=0.3)
    chromium.get(f"{jupyterlab.url}/?token={jupyterlab.token}")  # as `make lab` opens the browser
    wait.until(lambda page: page.current_url.endswith(f"/lab/tree/{START}"))
    shown = "//div[contains(@class, 'jp-RenderedMarkdown')]//a[normalize-space()='{}']"
    for name in ("reports/results.md", "40_metrics"):
        found = wait.until(lambda page, name=name: page.find_elements(By.XPATH, shown.format(name)))
        chromium.execute_script("arguments[0].scrollIntoView({block: 'center'}); arguments[0].click()", found[-1])
        title = f"//li[contains(@class, 'lm-TabBar-tab')][.//div[starts-with(text(), '{Path(name).stem}')]]"
        wait.until(lambda page, title=title: page.find_elements(By.XPATH, title))
    assert chromium.find_elements(By.CSS_SELECTOR, ".jp-MarkdownViewer")
    assert not chromium.find_elements(By.CSS_SELECTOR, ".jp-Dialog")


@pytest.mark.parametrize(("text", "found"), [("[a](../b.md#c) [d](https://e) [f](#g)", {"notebooks/b.md"})])
def test_links_are_read_from_the_folder_of_the_text(text, found):
    assert links(text, "notebooks/lessons") == found
