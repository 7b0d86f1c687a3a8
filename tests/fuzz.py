"""Random hostile input to the commands, seeded: what is tried, and how the answer is judged.

    python -m tests.fuzz --seed 7 --count 500 [KIND ...]        a table of all kinds, and every fault

Whatever comes, the exit code says what happened. 0: the input is fine, and only the target is written. 2: one line on
stderr that begins with "error: " and names a file, or what was given; nothing is written. 1, of `detect` and `verify`:
something is wrong with a part, and each line names it. Never a traceback, never a wait without end.
"""

import argparse
import contextlib
import csv
import io
import json
import math
import os
import random
import shutil
import signal
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SECONDS = 120
"""After these a case counts as waiting for ever."""
PIECES = (
    *("..", ".", "", "a", "NUL", "con.txt", "-rf", " ", "$(x)", "=cmd|x", "<img src=x>", "é", "e\u0301", "\u202e"),
    *("\n", "\x1b[2J", "x" * 300, "train", "good", "C:", "\\", ".ingest-set", ".unpacking-1", "label.csv", "größe"),
    *("電池", "candle", "'", '"', "$x$", "$_{", "@x", "+1", "`x`", "01", "1e3", "0o1", "null", "%s", "{0}", "\udcff"),
)
SUFFIXES = (".png", ".PNG", ".webp", ".jfif", ".heic", ".txt", "", "_mask.png")
VALUES = (
    *(None, True, 0, -1, 10**9, 10**400, 0.5, -0.0, 1e308, float("nan"), float("inf"), "", "x", "01", "1e3", "no"),
    *([], {}, [None], [[]], {"x": 1}, {"": None}, "\n", "\udcff", "x" * 3000, "../x", "/etc", "$(touch evil)", "a'b"),
)


class WaitsError(BaseException):
    """A command waits for ever; no OSError, which commands take for one of the disk."""


@dataclass
class Case:
    """A hostile input: what to run, and what its answer may be."""

    run: Callable[[], int | None]
    """Returns the exit code."""
    names: tuple[str, ...] = ()
    """A refusal names one of these."""
    codes: tuple[int, ...] = (0, 2)
    check: Callable[[int], str] = lambda code: ""
    """What else is wrong after that exit code; an empty text for nothing."""


@dataclass
class Tally:
    """What came of all cases of a kind."""

    kind: str
    tried: int = 0
    fine: int = 0
    refused: int = 0
    parts: int = 0
    """Exit code 1: a part of the input is named."""
    faults: list[str] = field(default_factory=list)

    def row(self) -> str:
        """As a row of the table."""
        return f"| {self.kind} | {self.tried} | {self.refused} | {self.parts} | {self.fine} | {len(self.faults)} |"


HEAD = "| kind | tried | refused rightly | a part named | legitimate | anything else |\n|---|---|---|---|---|---|"


def fuzz(kind: Callable, seed: int | str, count: int, sources: Path, folder: Path) -> Tally:
    """Try ``count`` cases of a kind; each has a folder of its own, with ``in`` for what is hostile and ``out``."""
    tally = Tally(kind.__name__.replace("_", " "))
    for number in range(count):
        draw, place = random.Random(f"{kind.__name__} {seed} {number}"), folder / str(number)
        (place / "in").mkdir(parents=True)
        (place / "out").mkdir()
        shutil.copy(sources / "secret.png", place / "in")
        with contextlib.chdir(place):
            case = kind(draw, place, sources)
            before = state(place)
            code, error = answer(case)
            fault = judge(case, code, error, before, state(place))
        tally.tried += 1
        if fault:
            tally.faults.append(f"{kind.__name__} {seed} {number}: {fault}")
        elif code:
            tally.refused += code == 2
            tally.parts += code == 1
        else:
            tally.fine += 1
        shutil.rmtree(place)
    return tally


def answer(case: Case) -> tuple[int | None, str]:
    """Exit code and stderr; None and the traceback where it raised."""
    error = io.StringIO()
    stopped = _stop_waiting()
    try:
        with contextlib.redirect_stderr(error), contextlib.redirect_stdout(io.StringIO()):
            return case.run() or 0, error.getvalue()
    except (Exception, SystemExit, WaitsError):
        return None, traceback.format_exc()
    finally:
        stopped()


def _stop_waiting() -> Callable[[], None]:
    """Raise WaitsError in the main thread after a while, unless what is returned was called."""

    def late(number: int, frame: object) -> None:
        raise WaitsError

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)

    def stop() -> None:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)

    return stop


def judge(case: Case, code: int | None, error: str, before: dict, after: dict) -> str:
    """What is wrong with an answer; an empty text for nothing."""
    if code is None:
        return error.strip().splitlines()[-1] + "\n" + "\n".join(error.splitlines()[-9:])
    if code not in case.codes:
        return f"exit code {code}: {error}"
    if "Traceback" in error:
        return error
    if code == 2:
        return refusal(case, error) or ("" if after == before else f"left behind: {changes(before, after)}")
    out = ("out",)
    outside = [path for path in changes(before, after) if not path.startswith(out)]
    if outside:
        return f"written outside: {outside}"
    hidden = [path for path in after.keys() - before.keys() if Path(path).name.startswith(".")]
    links = [path for path in after.keys() - before.keys() if isinstance(after[path], str)]
    secrets = [path for path in after if after[path] == b"secret" and path != "in/secret.png"]
    return case.check(code) or "".join(
        f"{what}: {paths}" for what, paths in (("hidden", hidden), ("links", links), ("copied", secrets)) if paths
    )


def refusal(case: Case, error: str) -> str:
    """What is wrong with what was said on a refusal."""
    lines = error.splitlines()
    said = [line for line in lines if line.startswith("error: ")]
    if len(said) != 1 or lines[-1] != said[0]:
        return f"not one line: {error}"
    if not said[0].isprintable() or len(said[0]) > 1500:
        return f"not a line that can be read: {said[0]!a}"
    if case.names and not any(name in said[0] for name in case.names):
        return f"names nothing: {said[0]}"
    return ""


def changes(before: dict, after: dict) -> list[str]:
    """Paths that are new, gone, or hold something else."""
    return sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))


def state(folder: Path) -> dict[str, Any]:
    """All that lies in a folder: links with where they lead, files with their content."""
    found: dict[str, Any] = {}
    for path in folder.rglob("*"):
        regular = path.is_file() and not path.is_symlink()
        found[path.relative_to(folder).as_posix()] = (
            str(path.readlink()) if path.is_symlink() else path.read_bytes() if regular else path.is_dir()
        )
    return found


# --- what is hostile -------------------------------------------------------------------------------------------------


def name(draw: random.Random) -> str:
    """A path that may be anything; the absolute ones stay below the temporary folder only if they are refused."""
    parts = [draw.choice(PIECES) + draw.choice(("", "", "b")) for _ in range(draw.choice((1, 1, 1, 2, 3)))]
    return draw.choice(("", "", "", "/", "../", "../../")) + "/".join(parts)


def file_name(draw: random.Random) -> str:
    """The name of a file that a file system takes."""
    piece = draw.choice(("001", "000", *PIECES)).replace("/", "")
    return (f"{piece}b" if piece in ("", ".", "..") else piece[:200]) + draw.choice(SUFFIXES)


def damaged(draw: random.Random, content: bytes) -> bytes:
    """A file's content with bytes changed, cut, doubled or emptied."""
    data = bytearray(content)
    for _ in range(draw.choice((0, 1, 1, 10))):
        data[draw.randrange(len(data))] = draw.randrange(256)
    cut = draw.choice((len(data), len(data), len(data), draw.randrange(len(data)), 0))
    return bytes(data[:cut]) + draw.choice((b"", b"", b"", b"\0", b"\xff\xfe", content[:50]))


def nested(draw: random.Random, content: Any) -> None:
    """Change a mapping of mappings and lists in place: one value becomes another, is gone, doubled or moved."""
    places = list(_places(content))
    for _ in range(draw.choice((1, 1, 1, 2, 4))):
        above, key = draw.choice(places)
        if isinstance(above, dict) and draw.random() < 0.2:
            above.pop(key, None)
        elif isinstance(above, dict) and draw.random() < 0.1:
            above[draw.choice(PIECES).replace("\udcff", "x")] = draw.choice(VALUES)
        elif isinstance(above, dict) or key < len(above):
            above[key] = draw.choice((*VALUES, draw.choice(PIECES)))


def _places(content: Any):
    for key, value in content.items() if isinstance(content, dict) else enumerate(content):
        yield content, key
        if isinstance(value, dict | list):
            yield from _places(value)


def special(draw: random.Random, file: Path) -> None:
    """Put something that is no regular file in the place of a file."""
    file.unlink()
    kind = draw.choice(("folder", "pipe", "loop", "nowhere", "nothing", "secret"))
    if kind == "folder":
        file.mkdir()
    elif kind == "pipe":
        os.mkfifo(file)
    elif kind != "nothing":
        file.symlink_to({"loop": file.name, "nowhere": "gone", "secret": file.parents[0] / "secret.png"}[kind])


def spoilt(draw: random.Random, folder: Path) -> None:
    """Spoil a tree: files and folders that are damaged, renamed, gone, replaced by links and pipes, or too many."""
    for _ in range(draw.choice((1, 1, 2, 4))):
        paths = sorted(path for path in folder.rglob("*") if not path.is_symlink())
        files = [path for path in paths if path.is_file()]
        if not paths:
            return
        path = draw.choice(paths)
        how = draw.choice(("damage", "damage", "rename", "rename", "remove", "special", "more", "swap"))
        if how == "damage" and path.is_file() and path.stat().st_size:
            path.write_bytes(damaged(draw, path.read_bytes()))
        elif how == "rename":
            with contextlib.suppress(OSError):
                path.rename(path.with_name(file_name(draw)))
        elif how == "remove":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        elif how == "special" and path.is_file():
            special(draw, path)
        elif how == "more" and files and path.is_dir():
            with contextlib.suppress(OSError):
                shutil.copy(draw.choice(files), path / file_name(draw))
        elif how == "swap" and path.is_file():
            with contextlib.suppress(shutil.SameFileError):
                shutil.copy(draw.choice(files), path)


def command(*words: object) -> Callable[[], int]:
    """A run of ``python -m anomaly_lib`` in this process."""
    from anomaly_lib.cli import main

    return lambda: main([str(word) for word in words])


def safe_tables(folder: Path) -> str:
    """What a spreadsheet would take for a formula in the CSV files of a folder, or what is no table."""
    for file in folder.rglob("*.csv"):
        with file.open(encoding="utf-8", newline="") as stream:
            head, *rows = csv.reader(stream)
        for row in rows:
            for cell in row:
                if cell[:1] in ("=", "+", "-", "@", "\t", "\r") and not _is_number(cell):
                    return f"{file.name}: {cell!a} is a formula"
            if len(row) != len(head):
                return f"{file.name}: a row of {len(row)} cells under {len(head)}"
    return ""


def _is_number(cell: str) -> bool:
    with contextlib.suppress(ValueError):
        return bool(float(cell)) or True
    return False


def finite(text: str) -> str:
    """Numbers of a JSON text that are none."""

    def refuse(word: str) -> float:
        found.append(word)
        return math.nan

    found: list[str] = []
    json.loads(text, parse_constant=refuse)
    return f"not finite: {found[0]}" if found else ""


def main() -> None:
    """Try the kinds that are named, and print the table."""
    from tests.hostile import KINDS, make_sources

    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"of {', '.join(KINDS)}; default: all")
    parser.add_argument("--seed", default="0")
    parser.add_argument("--count", type=int, default=500, help="cases of each kind")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        sources = Path(temporary, "sources")
        make_sources(sources)
        tallies = []
        for chosen in options.kinds or KINDS:
            tallies.append(fuzz(KINDS[chosen], options.seed, options.count, sources, Path(temporary, chosen)))
            print(tallies[-1].row(), *tallies[-1].faults, sep="\n", file=sys.stderr, flush=True)
    total = Counter()
    print(HEAD)
    for tally in tallies:
        print(tally.row())
        total.update(tried=tally.tried, refused=tally.refused, parts=tally.parts, fine=tally.fine)
    faults = [fault for tally in tallies for fault in tally.faults]
    print(f"| all | {total['tried']} | {total['refused']} | {total['parts']} | {total['fine']} | {len(faults)} |")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
