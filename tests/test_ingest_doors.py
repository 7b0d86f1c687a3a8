"""Ingest refuses what would leave the target, be lost without a word, or end in a traceback."""

import pytest

from anomaly_lib.cli import main
from anomaly_lib.ingest.names import why_name_is_refused
from tests import layouts

BAD_NAMES = {
    "": "is empty",
    ".": "begins with",
    "..": "begins with",
    ".hidden": "begins with",
    "-rf": "begins with",
    "a/b": "other characters",
    "/elsewhere/evil": "other characters",
    "../up": "other characters",
    "a\\b": "other characters",
    "C:evil": "other characters",
    "my part": "other characters",
    "M8 (zinc)": "other characters",
    "x$(touch evil)": "other characters",
    "=cmd|calc": "other characters",
    "<img onerror=x>": "other characters",
    "a\nb": "other characters",
    "a\0b": "other characters",
    "a\u202eb": "other characters",
    "a\u200bb": "other characters",
    "x\udcff": "other characters",
    "x²": "other characters",
    "CON": "reserved",
    "nul": "reserved",
    "Aux.txt": "reserved",
    "com1": "reserved",
    "LPT9.a.b": "reserved",
    "test": "reserved",
    "name.": "ends with",
    "e" * 201: "more than 200 bytes",
    "ö" * 101: "more than 200 bytes",
}
GOOD_NAMES = (
    "nut",
    "01",
    "M8-zinc",
    "v1.0",
    "_x",
    "größe",
    "gro\u0308ße",
    "電池",
    "पेंच",
    "vít_lục-giác",
    "console",
    "е" * 100,
)


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_name_that_is_no_plain_name_is_refused(name):
    assert BAD_NAMES[name] in why_name_is_refused(name)


@pytest.mark.parametrize("name", GOOD_NAMES)
def test_names_of_any_script_are_fine(name):
    assert why_name_is_refused(name) is None


@pytest.fixture
def run(tmp_path, capsys):
    """Runs ``data ingest`` into ``tmp_path/set``; returns (exit code, stdout, the one line on stderr or '')."""

    def run(*arguments, output=tmp_path / "set"):
        code = main(["data", "ingest", *map(str, arguments), "--output", str(output)])
        out, err = capsys.readouterr()
        if code:
            assert code == 2
            assert err.splitlines()[-1].startswith("error: ")
            assert err.count("error: ") == 1
            assert "Traceback" not in err
        return code, out, err.splitlines()[-1] if code else ""

    return run


@pytest.mark.parametrize("name", ["a b", "x\ny", "NUL", "../up", "/tmp/x"])
def test_the_name_of_ones_own_category_is_checked(run, tmp_path, name):
    layouts.mvtec(tmp_path / "source")
    before = layouts.tree(tmp_path)
    code, _, line = run("folder", "--good", tmp_path / "source/grid/train/good", "--name", name)
    assert code == 2
    assert line.startswith("error: --name ")
    assert layouts.tree(tmp_path) == before
    assert not (tmp_path / "set").exists()
