"""A real Chromium against a real JupyterLab and Voila: fixtures for the tests of lessons and demos.

Each server starts once a session, on a free port, with configuration and workspace folders of its own, so that
nothing of the person's is read or written. Notebooks are opened as copies under ``COPIES``, because JupyterLab
saves them with their outputs. ``import`` the fixtures into a test file: ``chromium``, ``jupyterlab``, ``voila``.
"""

import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen

import nbformat
import psutil
import pytest
from axe_core_python.selenium import Axe

ROOT = Path(__file__).resolve().parents[1]
COPIES = ROOT / "build/browser" / os.environ.get("PYTEST_XDIST_WORKER", "alone")
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PATIENCE = float(os.environ.get("ANOMALY_BROWSER_PATIENCE", "180"))
"""Seconds that a page may take to open and to run: CI machines are busy."""
KEPT_QUIET = """{
 "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": false},
 "@jupyterlab/docmanager-extension:plugin": {"autosave": false},
 "@jupyterlab/notebook-extension:tracker": {"windowingMode": "none"}
}"""
"""No news, no saving, and all cells on the page, not only those in sight: their outputs are looked at."""
PROFILE = ROOT / "profiles/smoke/params.yaml"
"""Of the demos' models: small photos, as each page fits its own."""
ATTEMPTS = 3
"""At the menu: a click that comes while JupyterLab still arranges its page is lost."""
QUIET_MS = 300
"""Milliseconds without a new picture and without a busy sign, after which a page has answered all before."""
CONTROLS = (
    ".noUi-handle, .widget-dropdown select, .widget-checkbox input, .widget-toggle-buttons button:not(.mod-active)"
)
# Notes, with the browser's own clock, when a key went down, when a busy sign came, and when a picture came that was not
# there before the key.
WATCH = """
window.noted = [];
window.known = new Set();
window.began = performance.now();
const note = (what) => window.noted.push([what, performance.now()]);
window.addEventListener('keydown', () => note('key'), true);
const all = (node, css) => [...(node.matches(css) ? [node] : []), ...node.querySelectorAll(css)];
const look = (node) => {
  if (!node.querySelectorAll) return;
  if (all(node, '.anomaly-busy').length) note('busy');
  if (all(node, 'img').some((image) => !window.known.has(image.src))) note('picture');
};
new MutationObserver((changes) => changes.forEach((change) => {
  change.addedNodes.forEach(look);
  if (change.attributeName === 'src') look(change.target);
})).observe(document.body, {childList: true, subtree: true, attributes: true, attributeFilter: ['src']});
"""
IS_CALM = """
const last = window.noted.length ? window.noted[window.noted.length - 1][1] : window.began;
return !document.querySelector('.anomaly-busy') && performance.now() - last > arguments[0];
"""
FORGET = """
window.noted.length = 0;
window.known = new Set([...document.querySelectorAll('img')].map((image) => image.src));
"""


@dataclass(frozen=True)
class Answer:
    """What the page did after a key."""

    picture: float | None
    """Seconds until a picture changed; None if none did."""
    busy: float | None
    """Seconds until a busy sign was seen."""


@pytest.fixture(scope="session")
def chromium():
    """A headless Chromium; skips where it or its driver is absent, and unless ANOMALY_BROWSER is set.

    They take minutes, so `make test` skips them; CI runs them in a step of their own.
    """
    if not os.environ.get("ANOMALY_BROWSER"):
        pytest.skip("browser tests run where ANOMALY_BROWSER is set")
    binary = next((shutil.which(name) for name in BROWSERS if shutil.which(name)), None)
    driver = shutil.which("chromedriver")
    if not (binary and driver):
        pytest.skip("no Chromium with chromedriver here; Debian: apt-get install chromium chromium-driver")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = binary
    flags = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1600,1200")
    options.page_load_strategy = "none"  # Voila's page loads for as long as its notebook runs
    for flag in flags:
        options.add_argument(flag)
    browser = webdriver.Chrome(options=options, service=Service(driver))
    yield browser
    browser.quit()


@dataclass(frozen=True)
class Server:
    """Where a server answers."""

    url: str
    token: str
    process: int

    def open_demo(self, browser, name: str) -> None:
        """Ask for a demo's page; it is not waited for."""
        browser.get(f"{self.url}/voila/render/{name}.ipynb?token={self.token}")

    def kernels(self) -> int:
        """How many run: processes are counted, as they hold the memory."""
        commands = []
        for child in psutil.Process(self.process).children(recursive=True):
            with suppress(psutil.Error):  # it has ended
                commands.append(" ".join(child.cmdline()))
        return sum("ipykernel" in command for command in commands)

    def open_copy(self, browser, notebook: Path, **parameters) -> None:
        """Open a copy of a notebook in JupyterLab, run all of it, and wait until the kernel is idle.

        ``parameters`` replace lines of its parameters cell.
        """
        from selenium.common.exceptions import TimeoutException
        from selenium.webdriver.common.by import By
        from selenium.webdriver.support.ui import WebDriverWait

        self.end_kernels()
        copy = COPIES / notebook.name
        copy.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(with_parameters(nbformat.read(notebook, 4), parameters), copy)
        place = copy.relative_to(ROOT).as_posix()
        wait = WebDriverWait(browser, PATIENCE, poll_frequency=0.5)
        browser.get("about:blank")  # or the page before would be taken for this one
        wait.until(lambda page: page.execute_script("return location.href") == "about:blank")
        browser.get(f"{self.url}/lab/tree/{place}?reset&token={self.token}")
        wait.until(lambda page: page.find_elements(By.CSS_SELECTOR, ".jp-Notebook .jp-CodeCell"))
        wait.until(lambda page: kernel_status(page) == "idle")
        for _ in range(ATTEMPTS):
            for label, kind in (("Run", "lm-MenuBar-itemLabel"), ("Run All Cells", "lm-Menu-itemLabel")):
                where = f"//div[contains(@class, '{kind}') and text()='{label}']"
                wait.until(lambda page, where=where: page.find_elements(By.XPATH, where))[0].click()
            with suppress(TimeoutException):
                WebDriverWait(browser, 15, poll_frequency=0.2).until(has_begun)
                break
        try:
            wait.until(all_cells_ran)
        except TimeoutException:
            pytest.fail(f"{notebook.name} has not run: {prompts(browser)}; errors: {errors_in(browser)}")

    def end_kernels(self) -> None:
        """Of the notebooks before: each holds as much memory as torch needs."""
        headers = {"Authorization": f"token {self.token}"}
        with urlopen(Request(f"{self.url}/api/kernels", headers=headers)) as answer:
            kernels = json.load(answer)
        for kernel in kernels:
            urlopen(Request(f"{self.url}/api/kernels/{kernel['id']}", headers=headers, method="DELETE")).close()


def with_parameters(notebook: nbformat.NotebookNode, parameters: dict) -> nbformat.NotebookNode:
    """The notebook with other values in its parameters cell; AssertionError for a name that is not there."""
    for name, value in parameters.items():
        (cell,) = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
        cell.source, count = re.subn(rf"^{name} = .*$", f"{name} = {value!r}", cell.source, flags=re.MULTILINE)
        assert count == 1, f"the notebook has no parameter {name}"
    return notebook


@pytest.fixture(scope="session")
def jupyterlab(tmp_path_factory) -> Iterator[Server]:
    """JupyterLab as ``make lab`` serves it."""
    home, token, port = tmp_path_factory.mktemp("lab"), secrets.token_hex(16), free_port()
    settings = home / "jupyter_config_dir/labconfig"
    settings.mkdir(parents=True)
    (settings / "default_setting_overrides.json").write_text(KEPT_QUIET)
    command = [sys.executable, "-m", "anomaly_tools.lab", "--no-browser", "--allow-root", f"--port={port}"]
    command += [f"--IdentityProvider.token={token}", "--ServerApp.port_retries=0"]
    command += [f"--FileCheckpoints.checkpoint_dir={home / 'checkpoints'}"]  # not beside the lessons
    url = f"http://127.0.0.1:{port}"
    with serving(command, home, f"{url}/api/status?token={token}") as process:
        yield Server(url, token, process)
    shutil.rmtree(COPIES, ignore_errors=True)


@pytest.fixture(scope="session")
def voila(tmp_path_factory) -> Iterator[Server]:
    """The demos as ``make demo`` serves them."""
    with serving_demos(tmp_path_factory.mktemp("voila")) as server:
        yield server


@contextmanager
def serving_demos(home: Path, *options: str) -> Iterator[Server]:
    """The demos with these options until the block ends, with the token that they print."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "anomaly_course.widgets.serve", "--no-browser", f"--port={port}", *options]
    with serving(command, home, f"{url}/voila/static/voila.js") as process:
        start = f"http://localhost:{port}/voila/render/start.ipynb?token="
        (token,) = re.findall(rf"^{re.escape(start)}(\w+)$", (home / "server.log").read_text(), re.MULTILINE)
        yield Server(url, token, process)


@contextmanager
def serving(command: list[str], home: Path, answers: str) -> Iterator[int]:
    """Run a server, as this process, until the block ends; inside, the address ``answers`` has answered.

    ``home`` takes what it writes.
    """
    own = {name: str(home / name.lower()) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")}
    own |= {"JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"), "JUPYTERLAB_SETTINGS_DIR": str(home / "settings")}
    own |= {"ANOMALY_DEMO_PROFILE": str(PROFILE), "ANOMALY_ANSWERS": str(home / "answers")}
    with (home / "server.log").open("w") as log:
        server = subprocess.Popen(command, cwd=ROOT, env=os.environ | own, stdout=log, stderr=subprocess.STDOUT)
        try:
            wait_for(answers, server, home / "server.log")
            yield server.pid
        finally:
            server.terminate()
            with suppress(subprocess.TimeoutExpired):
                server.wait(timeout=30)
            server.kill()  # nothing if it has ended


def wait_for(address: str, server: subprocess.Popen, log: Path) -> None:
    """Until the address answers at all; fails with the end of the log when the server has ended."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        assert server.poll() is None, log.read_text()[-2000:]
        try:
            urlopen(address, timeout=5)
            return
        except (URLError, OSError) as error:
            if getattr(error, "code", None) == 404:
                return
        time.sleep(0.3)
    pytest.fail(f"{address} did not answer: {log.read_text()[-2000:]}")


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def kernel_status(page) -> str | None:
    """'idle', 'busy', ... as JupyterLab shows it."""
    return page.execute_script(
        "const e = document.querySelector('.jp-Notebook-ExecutionIndicator'); return e && e.dataset.status"
    )


def prompts(page) -> list[str]:
    """'[1]:' of each code cell; a star while it waits or runs."""
    return page.execute_script(
        "return [...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')].map(e => e.textContent)"
    )


def has_begun(page) -> bool:
    """Whether any code cell was sent to the kernel."""
    return any("[ ]" not in prompt for prompt in prompts(page))


def all_cells_ran(page) -> bool:
    """Whether no code cell waits or runs, and the kernel is idle."""
    shown = prompts(page)
    return bool(shown) and not any("*" in p or "[ ]" in p for p in shown) and kernel_status(page) == "idle"


def errors_in(page) -> list[str]:
    """Texts of error outputs and of stderr, in JupyterLab and in Voila."""
    kinds = ("[data-mime-type$='.stderr']", "[data-mime-type$='.error']", ".jp-RenderedText pre .ansi-red-fg")
    script = "return [...document.querySelectorAll(arguments[0])].map(e => e.textContent.slice(0, 400))"
    return page.execute_script(
        script, ", ".join((*kinds, ".voila-notebook-error", ".jp-RenderedText pre .ansi-red-fg"))
    )


def pictures_without_alt(page) -> int:
    """Images of the notebook that say nothing to people who do not see them."""
    return page.execute_script(
        "return [...document.querySelectorAll('.jp-OutputArea img, .jp-Cell img')].filter(e => !e.alt.trim()).length"
    )


def violations(page) -> list[str]:
    """What axe-core finds against WCAG 2, levels A and AA: the rule, and where it is broken."""
    found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa"]})["violations"]
    # the handles of ipywidgets' sliders have no name of their own; the words stand before them
    ours = [rule for rule in found if rule["id"] != "aria-input-field-name"]
    return [f"{rule['id']}: {node['target']}" for rule in ours for node in rule["nodes"]]


def foreign_addresses(page) -> list[str]:
    """What the page fetched from elsewhere than its own server."""
    return page.execute_script(
        "return performance.getEntriesByType('resource').map(e => e.name)"
        ".filter(n => /^(http|ws)/.test(n) && new URL(n).host !== location.host)"
    )


def key_of(control) -> str:
    """The key that changes a control: arrows move sliders and choices, space switches."""
    from selenium.webdriver.common.keys import Keys

    if control.tag_name == "select":
        return Keys.ARROW_DOWN
    return Keys.ARROW_RIGHT if "noUi" in (control.get_attribute("class") or "") else Keys.SPACE


def press(page, element, key: str, patience: float = 30.0) -> Answer:
    """Press a key on an element of a page at rest, and see how soon a busy sign and a new picture come."""
    page.execute_script("arguments[0].scrollIntoView({block: 'center'}); arguments[0].focus()", element)
    come_to_rest(page)
    page.execute_script(FORGET)
    element.send_keys(key)
    until = time.monotonic() + patience
    while time.monotonic() < until and _after_key(page, "picture") is None:
        time.sleep(0.05)
    return Answer(_after_key(page, "picture"), _after_key(page, "busy"))


def come_to_rest(page) -> None:
    """Wait until pictures that were asked for before are there."""
    if not page.execute_script("return Boolean(window.noted)"):
        page.execute_script(WATCH)
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if page.execute_script(IS_CALM, QUIET_MS):
            return
        time.sleep(0.05)
    pytest.fail("the page is still busy")


def _after_key(page, what: str) -> float | None:
    """Seconds from the key to the first note of this kind after it."""
    noted = page.execute_script("return window.noted")
    keys = [when for name, when in noted if name == "key"]
    found = [when for name, when in noted if name == what and keys and when >= keys[0]]
    return (found[0] - keys[0]) / 1000 if found else None
