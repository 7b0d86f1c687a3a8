"""Does a run give what git holds? Files byte by byte, results.csv number by number, and the likely cause. No torch.

A number that differs is *equal after rounding* to the decimals that the tables print; else *within* the spread of
seeds if two runs that differ by their seed alone may well lie as far apart; else *beyond* it. Where s is the standard
deviation of one run over seeds, the difference of two runs has sqrt(2) s; two of those, 2 sqrt(2) s, hold 95 of 100
differences if s is known well. From three seeds it is known roughly: by Student's t with two degrees of freedom 18 of
100 lie beyond. s comes from the profile's own seeds, else from ``SPREAD_FROM`` where that has the same method on the
same data; where neither has it, no spread is known.
"""

import csv
import json
import math
import re
import statistics
import subprocess
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from anomaly_lib.base.errors import InputError
from anomaly_lib.base.numerics import processor
from anomaly_lib.params import Params, load_profile, project_root
from anomaly_lib.registry import shown_name
from anomaly_lib.reporting.results import TITLES

SPREAD_FROM = Path("reports/thorough/results.csv")
SPREAD_NOTE = """\
spread: standard deviation s over the seeds of this profile, or, where it has one seed, of thorough (longer training);
  within: at most 2√2 s apart. Three seeds give s only roughly: chance alone puts 18 of 100 numbers beyond."""
TIMES = ("times.json", "times.md")  # of another command; no two runs give the same
FIGURES = (".png", ".gif")
EQUAL, ROUNDED, WITHIN = "equal", "equal after rounding", "within the spread of seeds"
UNKNOWN, BEYOND = "no spread known", "beyond the spread of seeds"
KINDS = (EQUAL, ROUNDED, WITHIN, UNKNOWN, BEYOND)
KEYS = ("method", "category", "seed")
SHOWN = 6
IN_TEXT = re.compile(r"(?<![\w.])[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?(?!\.?\w)")
PROVENANCE = re.compile(r"\* (made with |data hashes: |.*: params hash )")

Read = Callable[[str], bytes | None]  # of a file, by its name below the reports folder
Rows = dict[tuple[str, ...], dict[str, str]]  # by method, category, seed
Spreads = dict[tuple[str, ...], float]  # by method, category, column


@dataclass(frozen=True)
class Number:
    """One number of results.csv on both sides; ``spread`` is its standard deviation over seeds, None if unknown."""

    method: str
    category: str
    seed: str
    metric: str
    before: float
    after: float
    spread: float | None

    @property
    def kind(self) -> str:
        """One of ``KINDS``."""
        if self.before == self.after:
            return EQUAL
        if _printed(self.before) == _printed(self.after):
            return ROUNDED
        if self.spread is None:
            return UNKNOWN
        return WITHIN if abs(self.after - self.before) <= 2 * math.sqrt(2) * self.spread else BEYOND


@dataclass
class Comparison:
    """What differs between two sides: git and this work tree, or this work tree and a folder."""

    title: str
    sides: tuple[str, str]
    files: int = 0
    equal: int = 0
    one_sided: list[str] = field(default_factory=list)
    """Files, rows, columns and numbers that one side lacks."""
    different: dict[str, str] = field(default_factory=dict)
    """{file: how it differs}, without results.csv."""
    numbers: list[Number] = field(default_factory=list)
    cause: str = ""

    @property
    def same(self) -> bool:
        """Nothing is missing and every number is equal after rounding; pixels of figures do not count."""
        texts = [how for name, how in self.different.items() if not name.endswith(FIGURES)]
        return not self.one_sided and {*texts, *(number.kind for number in self.numbers)} <= {EQUAL, ROUNDED}

    def to_json(self) -> str:
        """Everything, also the numbers that are equal."""
        numbers = [asdict(number) | {"class": number.kind} for number in self.numbers]
        return json.dumps(asdict(self) | {"numbers": numbers, "same": self.same}, indent=1)

    def to_text(self) -> str:
        """Summary, the worst numbers of each method, and the likely cause."""
        if not self.files:
            return f"{self.title}: git holds no results of this profile, so there is nothing to compare with"
        figures = [name for name in self.different if name.endswith(FIGURES)]
        lines = [self.title, f"{self.equal} of {self.files} files byte-equal"]
        lines += [f"on one side only: {_some(self.one_sided, 10)}"] if self.one_sided else []
        lines += [f"figure differs (look at both): {_some(figures, 3)}"] if figures else []
        lines += [f"{name}: {how}" for name, how in self.different.items() if name not in figures]
        lines += [f"results.csv: {_counts(self.numbers)}"] if self.numbers else []
        if any(number.kind not in (EQUAL, ROUNDED) for number in self.numbers):
            for method in dict.fromkeys(number.method for number in self.numbers):
                lines += _table([number for number in self.numbers if number.method == method], self.sides)
            lines += ["", SPREAD_NOTE]
        return "\n".join(lines + ([f"likely cause: {self.cause}"] if self.cause else []))


def run(profile: str | None = None, folder: Path | None = None, as_json: bool = False) -> int:
    """The command ``python -m anomaly_lib compare``; its exit code."""
    result = compare(load_profile(profile), folder)
    print(result.to_json() if as_json else result.to_text())
    return 0 if result.same else 1


def compare(params: Params, folder: Path | None = None) -> Comparison:
    """Compare a profile's results in this work tree with git's HEAD, or those in ``folder`` with this work tree.

    ``folder`` is another clone, or its reports folder. Where git holds no results of the profile, ``files`` is 0.
    Raises InputError where git cannot tell, or where ``folder`` or this work tree has no results to compare.
    """
    root, reports = project_root(), Path(params.reports)
    commit = _git(root, "rev-parse", "--short", "HEAD").decode().strip()
    if folder:
        there = _results_folder(folder, params)
        result = Comparison(f"profile {params.profile}: {there} against {reports} here", ("here", "there"))
        listed = _git(root, "ls-files", "-zco", "--exclude-standard", "--", str(reports))
        before, after = (lambda name: _file(root / reports / name)), (lambda name: _file(there / name))
    else:
        result = Comparison(f"profile {params.profile}: {reports} here against git's {commit}", ("committed", "here"))
        listed = _git(root, "ls-tree", "-rz", "--name-only", "HEAD", "--", str(reports))
        before, after = (lambda name: _committed(root, reports / name)), (lambda name: _file(root / reports / name))
    _compare_files(result, _own_files(listed.decode().split("\0"), reports), before, after)
    if folder and not result.files:
        raise InputError(f"{reports}: no results here to compare {there} with; run the profile first")
    tables = before("results.csv"), after("results.csv")
    old, new = map(_rows, tables)
    if None not in tables:  # a missing file is named already
        _compare_rows(result, old, new, _spreads(old, _rows(_committed(root, SPREAD_FROM))))
        if result.equal < result.files:
            result.cause = _cause(before("results.md"), after("results.md"), old, new)
    return result


def _git(root: Path, *arguments: str) -> bytes:
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, check=False)
    except FileNotFoundError:
        raise InputError("git is not installed; results are compared with what it holds") from None
    if done.returncode:
        raise InputError(f"{root}: not a git checkout with a commit; results are compared with what git holds")
    return done.stdout


def _committed(root: Path, name: Path) -> bytes | None:
    """A file as HEAD holds it; None where it does not."""
    done = subprocess.run(["git", "show", f"HEAD:./{name}"], cwd=root, capture_output=True, check=False)
    return None if done.returncode else done.stdout


def _file(file: Path) -> bytes | None:
    return file.read_bytes() if file.is_file() else None


def _results_folder(folder: Path, params: Params) -> Path:
    """Where the profile's results lie in another clone, or in its reports folder."""
    parts = Path(params.reports).parts
    for start in range(len(parts) + 1):
        place = folder.joinpath(*parts[start:])
        title = (_file(place / "results.md") or b"").decode(errors="replace").partition("\n")[0]
        if (place / "results.csv").is_file() and title in ("", f"# Results of the profile `{params.profile}`"):
            return place
    raise InputError(f"{folder}: neither a clone nor a reports folder with results of profile {params.profile}")


def _own_files(listed: Sequence[str], reports: Path) -> list[str]:
    """Names below ``reports``, without the results of other profiles there and without times."""
    names = [Path(name).relative_to(reports) for name in listed if name]
    others = {name.parent for name in names if name.name == "results.csv"} - {Path()}
    return [str(name) for name in names if others.isdisjoint(name.parents) and str(name) not in TIMES]


def _compare_files(result: Comparison, names: Sequence[str], before: Read, after: Read) -> None:
    for name in names:
        old, new = before(name), after(name)
        result.files += not (old is None and new is None)  # git's index alone may have it
        result.equal += old is not None and old == new
        if old == new:
            continue
        if old is None or new is None:
            result.one_sided.append(f"{name} (only {result.sides[old is None]})")
        elif name.endswith(FIGURES):
            result.different[name] = "figure differs (look at both)"
        elif name != "results.csv":
            result.different[name] = _text_difference(old, new)


def _text_difference(before: bytes, after: bytes) -> str:
    """How two texts differ, number by number where all else is equal; what they were made with is no result."""
    texts = [data.decode(errors="replace").splitlines() for data in (before, after)]
    old, new = ([line for line in text if not PROVENANCE.match(line)] for text in texts)
    if [IN_TEXT.sub("#", line) for line in old] != [IN_TEXT.sub("#", line) for line in new]:
        return f"{(Counter(old) - Counter(new)).total()} of {len(old)} lines differ"
    first, second = ([float(text) for text in IN_TEXT.findall("\n".join(lines))] for lines in (old, new))
    gaps = [abs(a - b) for a, b in zip(first, second, strict=True) if _printed(a) != _printed(b)]
    return f"{len(gaps)} of {len(first)} numbers differ, by at most {max(gaps):.3g}" if gaps else ROUNDED


def _rows(data: bytes | None) -> Rows:
    """The runs of a results.csv. A run whose fields are all empty was not made, and is left out."""
    rows = list(csv.DictReader((data or b"").decode(errors="replace").splitlines(), restval=""))
    if rows and not {*KEYS} <= {*rows[0]}:
        raise InputError(f"results.csv: the columns {', '.join(KEYS)} are needed, in each file")
    runs = {tuple(row[key] for key in KEYS): {k: v for k, v in row.items() if k and k not in KEYS} for row in rows}
    return {run: row for run, row in runs.items() if any(row.values())}


def _compare_rows(result: Comparison, old: Rows, new: Rows, spreads: Spreads) -> None:
    """The numbers of both results.csv; a column, row or number that one of them lacks is named."""
    columns, others = (list(next(iter(rows.values()), ())) for rows in (old or new, new or old))
    lacks = [(f"column {name}", 0) for name in columns if name not in others]
    lacks += [(f"column {name}", 1) for name in others if name not in columns]
    lacks += [(f"row {' '.join(run)}", run in new) for run in [*old, *new] if run not in old or run not in new]
    for run in [run for run in old if run in new]:
        for name in [name for name in columns if name in others and not name.endswith(("_hash", "_digest"))]:
            a, b = _number(old[run][name]), _number(new[run][name])
            if a is not None and b is not None:
                result.numbers.append(Number(*run, name, a, b, spreads.get((*run[:2], name))))
            elif a != b:
                lacks.append((f"{name} of {' '.join(run)}", a is None))
    result.one_sided += [f"{what} (only {result.sides[side]})" for what, side in lacks]


def _spreads(own: Rows, thorough: Rows) -> Spreads:
    """Sample standard deviations over seeds, where there are at least two."""
    spreads: Spreads = {}
    for (method, category, _), row in own.items():
        mine, theirs = (
            [other for run, other in rows.items() if run[:2] == (method, category)] for rows in (own, thorough)
        )
        same_data = [other for other in theirs if other.get("data_hash") == row.get("data_hash")]
        for column in row:
            texts = [other.get(column, "") for other in (mine if len(mine) > 1 else same_data)]
            values = [value for text in texts if (value := _number(text)) is not None]
            if len(values) > 1:
                spreads[method, category, column] = statistics.stdev(values)
    return spreads


def _cause(before: bytes | None, after: bytes | None, old: Rows, new: Rows) -> str:
    """What the two sides were made with and from, where that differs; else what it does not tell: the processor."""
    made, remade = _made_with(before), _made_with(after)
    items = [name for name in made | remade if made.get(name) != remade.get(name)]
    causes = [f"{name} {made.get(name, '?')} -> {remade.get(name, '?')}" for name in items if made and remade]
    for column, key, what in (("data_hash", 1, "data"), ("params_hash", 0, "settings")):
        changed = [run[key] for run in old if run in new and old[run].get(column) != new[run].get(column)]
        causes += [f"other {what} of {', '.join(dict.fromkeys(changed))} ({column})"] if changed else []
    if causes:
        return "; ".join(causes)
    if not (made and remade):
        return "unknown: a results.md does not say what it was made with"
    if old == new:
        return "the report's own code: models and numbers are the same"
    mode = f", numerics {remade['numerics']}" if "numerics" in remade else ""
    return f"the processor (this one: {processor()}{mode}), or code: versions, threads, data and settings are the same"


def _made_with(data: bytes | None) -> dict[str, str]:
    """The items of a results.md's line "made with": versions, threads and whatever else it names."""
    line = re.search(r"^\* made with (.*)$", (data or b"").decode(errors="replace"), re.MULTILINE)
    items = re.split("[,;] ", line[1]) if line else []
    return {name: value for name, _, value in (item.partition(": " if ": " in item else " ") for item in items)}


def _number(text: str) -> float | None:
    """A number; None for an empty field, NaN, infinity or words."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _printed(value: float) -> str:
    """As the tables of results.md print a number, which never is "-0.000"."""
    return f"{round(value, 3) + 0.0:.3f}"


def _counts(numbers: Sequence[Number]) -> str:
    kinds = Counter(number.kind for number in numbers)
    return f"{len(numbers)} numbers: " + ", ".join(f"{kinds[kind]} {kind}" for kind in KINDS if kinds[kind])


def _table(numbers: Sequence[Number], sides: tuple[str, str]) -> list[str]:
    """A method's counts and its worst numbers, those that have tables of their own first."""
    metrics = list(TITLES)
    worst = [number for number in numbers if number.kind not in (EQUAL, ROUNDED)]
    worst.sort(key=lambda n: (-KINDS.index(n.kind), n.metric not in metrics, -abs(n.after - n.before)))
    rows = [("metric", "category", "seed", *sides, "difference", "spread", "")]
    for n in worst[:SHOWN]:
        values = f"{n.before:.4f}", f"{n.after:.4f}", f"{n.after - n.before:+.4f}"
        spread = "?" if n.spread is None else f"{n.spread:.4f}"
        rows.append((n.metric, n.category, n.seed, *values, spread, n.kind.partition(" the ")[0]))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  " + "  ".join(map(str.ljust, row, widths)).rstrip() for row in rows if worst]
    lines += [f"  and {len(worst) - SHOWN} more; --json lists all"] if len(worst) > SHOWN else []
    return ["", f"{shown_name(numbers[0].method)}: {_counts(numbers)}", *lines]


def _some(names: Sequence[str], count: int) -> str:
    return ", ".join(names[:count]) + (f" and {len(names) - count} more" if len(names) > count else "")
