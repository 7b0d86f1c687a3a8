"""Random hostile input of every kind that ``tests.hostile`` knows, seeded; ``python -m tests.fuzz`` tries more."""

import os
from pathlib import Path

import pytest

from tests.fuzz import fuzz
from tests.hostile import KINDS, make_sources

SEED = os.environ.get("ANOMALY_FUZZ_SEED", "0")
COUNT = int(os.environ.get("ANOMALY_FUZZ_COUNT", "40"))


@pytest.fixture(scope="module")
def sources(tmp_path_factory) -> Path:
    """What the cases start from."""
    folder = tmp_path_factory.mktemp("sources")
    make_sources(folder)
    return folder


@pytest.mark.parametrize("kind", KINDS)
def test_hostile_input_is_taken_or_refused_in_one_line(kind, sources, tmp_path, capsys):
    tally = fuzz(KINDS[kind], SEED, COUNT, sources, tmp_path)
    with capsys.disabled():
        print(f"\n{tally.row()}", end="")
    assert tally.faults == [], "\n".join(tally.faults)
    assert tally.tried == COUNT
    assert tally.fine + tally.parts, "everything was refused: this kind tries too little"
    assert tally.refused + tally.parts or kind == "tables"
