"""The demos' server: who is answered, and how many kernels run. What needs no browser runs in `make test` too."""

import time
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from tempfile import NamedTemporaryFile
from urllib.parse import urlsplit

import pytest
from jupyter_server.auth.identity import PasswordIdentityProvider

from anomaly_course.widgets.serve import Demos
from tests.browser import PATIENCE, ROOT, chromium, serving_demos
from tests.test_browser_demos import found

__all__ = ["chromium"]  # a fixture
KERNEL = "12345678-1234-1234-1234-123456789012"
START_HAS_RUN = ".jp-RenderedMarkdown td a[href]"


@pytest.fixture(scope="module")
def narrow(tmp_path_factory):
    """The demos with one place."""
    options = ("--pages=1", "--ServerApp.local_hostnames=demo.example")
    with serving_demos(tmp_path_factory.mktemp("narrow"), *options) as server:
        yield server


@pytest.fixture
def page(chromium, narrow):
    """The browser beside a server without kernels."""
    chromium.get("about:blank")
    wait_for_kernels(narrow, 0)
    return chromium


def wait_for_kernels(server, count: int, seconds: float = PATIENCE) -> None:
    until = time.monotonic() + seconds
    while server.kernels() != count:
        assert time.monotonic() < until, f"{server.kernels()} kernels, not {count}"
        time.sleep(0.1)


def answer_of(server, path: str, method: str = "GET", host: str | None = None) -> HTTPResponse:
    connection = HTTPConnection(urlsplit(server.url).netloc, timeout=30)
    connection.request(method, path, headers={"Host": host} if host else {})
    return connection.getresponse()


def test_the_address_that_is_opened_has_the_token_and_no_command_line_shows_it(tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    demos = Demos(connection_dir=str(tmp_path), port=8877)
    demos.identity_provider = PasswordIdentityProvider()
    token = demos.identity_provider.token
    demos.launch_browser()
    assert token not in opened[0]
    page = Path(urlsplit(opened[0]).path).read_text()
    assert f"url=http://localhost:8877/voila/render/start.ipynb?token={token}" in page
    assert demos.display_url == f"http://localhost:8877/voila/render/start.ipynb?token={token}"


@pytest.mark.parametrize("token", ["", "?token=wrong"])
def test_without_the_token_there_is_a_login_page_and_no_kernel(narrow, token):
    refused = answer_of(narrow, f"/voila/render/start.ipynb{token}")
    assert refused.status == 302
    assert refused.headers["Location"].startswith("/login?next=")
    assert narrow.kernels() == 0


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "voila/api/contents/"), ("GET", f"api/kernels/{KERNEL}"), ("POST", f"voila/api/shutdown/{KERNEL}")],
)
def test_without_the_token_the_interface_is_forbidden(narrow, method, path):
    assert answer_of(narrow, f"/{path}", method).status == 403
    assert answer_of(narrow, f"/{path}?token={narrow.token}", method).status in {200, 404}


def test_the_live_page_is_served_to_those_who_have_the_token(narrow):
    folder = ROOT / "build/live"
    folder.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=folder, suffix=".js") as file:
        address = f"/live/{Path(file.name).name}"
        assert answer_of(narrow, address).status == 302
        assert answer_of(narrow, f"{address}?token={narrow.token}").status == 200
        assert answer_of(narrow, f"{address}?token={narrow.token}", host="evil.example").status == 403
        assert answer_of(narrow, f"/live/../cache/x?token={narrow.token}").status in {403, 404}


@pytest.mark.parametrize("host", ["localhost", "localhost:8866", "127.0.0.1", "127.8.9.1", "[::1]:80", "demo.example"])
def test_local_and_allowed_names_are_answered(narrow, host):
    assert answer_of(narrow, f"/voila/api/contents/?token={narrow.token}", host=host).status == 200


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "192.168.0.7:8866", "[fe80::1]", "demo"])
@pytest.mark.parametrize("path", ["/voila/render/start.ipynb", "/voila/api/contents/", "/login"])
def test_other_names_are_forbidden_even_with_the_token(narrow, path, host):
    assert answer_of(narrow, f"{path}?token={narrow.token}", host=host).status == 403
    assert narrow.kernels() == 0


def test_a_page_that_is_left_frees_its_kernel(narrow, page):
    narrow.open_demo(page, "start")
    found(page, START_HAS_RUN)
    until_it_can_say_that_it_is_left(page)
    assert narrow.kernels() == 1
    page.get("about:blank")
    wait_for_kernels(narrow, 0, seconds=20)


def until_it_can_say_that_it_is_left(page) -> None:
    """Widgets are shown by the script that also tells the server when the page is left."""
    found(page, ".lm-Widget")


def test_a_page_that_is_left_while_it_loads_frees_its_kernel(narrow, page):
    narrow.open_demo(page, "synthesis")  # imports torch for seconds
    wait_for_kernels(narrow, 1)
    page.get("about:blank")
    wait_for_kernels(narrow, 0, seconds=20)


def test_a_link_leads_to_the_next_demo_where_there_is_one_place(narrow, page):
    narrow.open_demo(page, "start")
    (link,) = [link for link in found(page, START_HAS_RUN) if "layers.ipynb" in link.get_attribute("href")]
    until_it_can_say_that_it_is_left(page)
    page.execute_script("arguments[0].click()", link)
    found(page, ".noUi-handle")
    assert narrow.kernels() == 1


def test_one_page_too_many_says_so_and_opens_when_a_tab_is_closed(narrow, page):
    narrow.open_demo(page, "start")
    found(page, START_HAS_RUN)
    until_it_can_say_that_it_is_left(page)
    first = page.current_window_handle
    page.switch_to.new_window("tab")
    second = page.current_window_handle
    narrow.open_demo(page, "start")
    (heading,) = found(page, "h1")
    assert heading.text == "No place for another demo"
    text = page.find_element("css selector", "body").text
    assert "Demos that are open: 1" in text
    assert "Close the tabs" in text
    assert narrow.kernels() == 1
    page.switch_to.window(first)
    page.execute_cdp_cmd("Page.close", {})  # as a person does it; `close` of WebDriver tells the page nothing
    page.switch_to.window(second)
    page.find_element("link text", "Try again").click()
    found(page, START_HAS_RUN)
    assert narrow.kernels() == 1
