"""The README: its generated blocks are current, its links and commands exist."""

import re

import pytest

from anomaly_lib.base.errors import InputError
from anomaly_tools.readme import with_blocks


def test_the_generated_blocks_are_current(root):
    text = (root / "README.md").read_text()
    assert text == with_blocks(text, root), "run python -m anomaly_tools.readme"


def test_a_lost_marker_is_named(root):
    text = (root / "README.md").read_text().replace("<!-- lessons: end -->", "")
    with pytest.raises(InputError, match="<!-- lessons: end --> once each"):
        with_blocks(text, root)


def test_every_link_to_a_file_leads_somewhere(root):
    for page in [root / "README.md", *root.glob("docs/**/*.md"), *root.glob("benchmarks/*.md")]:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_make_target_that_is_named_exists(root):
    targets = set(re.findall(r"^([a-z-]+):", (root / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"`?make ([a-z-]+)", (root / "README.md").read_text()))
    assert {"repro", "test", "lab"} <= named <= targets


def test_every_profile_is_named(root):
    text = (root / "README.md").read_text()
    assert all(f"`{folder.name}`" in text for folder in (root / "profiles").iterdir())


def test_every_picture_has_alternative_text(root):
    for page in [root / "README.md", *root.glob("docs/**/*.md"), *root.glob("reports/**/results.md")]:
        assert all(alt.strip() for alt in re.findall(r"!\[([^\]]*)\]", page.read_text())), page
