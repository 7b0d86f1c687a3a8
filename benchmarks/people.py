"""The same bytes for everybody: clones with odd paths, users, locales and cores, each of which runs the same pipeline.

    python benchmarks/people.py --work /tmp/people            # everybody, one after the other
    python benchmarks/people.py --work /tmp/people umask cores # some of them; results of earlier calls stay

Each person has a clone (of what is committed) with a link to this environment, and runs ``fanout`` of the smoke profile
cut down. All files under reports/ and what dvc.lock says are compared with those of the first, who has nothing odd.
Needs root, which can become an ordinary user, and an environment that this user can read.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from clones import differing, digests, make_clone

USER = 65534
"""Number of an ordinary user: ``nobody``."""
NAMES = dict.fromkeys(("LOGNAME", "USER", "LNAME", "USERNAME"))


@dataclass(frozen=True)
class Person:
    """What is odd about a clone."""

    what: str
    folder: str = "clone"
    environment: dict[str, str | None] = field(default_factory=dict)
    """Variables that are set, or unset where None; ``{home}`` is the person's folder."""
    user: int | None = None
    cores: int | None = None
    umask: int = 0o022
    prepare: Callable[[Path], None] = lambda home: None


def _read_only(home: Path) -> None:
    (home / "home").mkdir(mode=0o555)  # of root; this person is another


PEOPLE = {
    "plain": Person("root, nothing odd"),
    "all": Person(
        "all of it at once: such a path, TMPDIR, user, umask, locale, encoding and HOME, on one core",
        folder="Jürgens Übung (2)",
        environment={"TMPDIR": "{home}/" + "t" * 80, "HOME": "{home}/home", "PYTHONIOENCODING": "ascii", "LANG": "C"},
        user=USER,
        cores=1,
        umask=0o077,
        prepare=_read_only,
    ),
    "path": Person("spaces, umlauts, quotes in the path", folder="Jürgens Übung (2) 'neu'"),
    "tmpdir": Person("TMPDIR of 110 characters", environment={"TMPDIR": "{home}/" + "t" * 80}),
    "user": Person("an ordinary user", user=USER, environment={"HOME": "{home}"}),
    "umask": Person("umask 077, an ordinary user", user=USER, umask=0o077, environment={"HOME": "{home}"}),
    "nameless": Person(
        "a user without an entry in passwd, as in a container", user=12345, environment={"HOME": "{home}"} | NAMES
    ),
    "lang": Person("LANG=C", environment={"LANG": "C", "LC_ALL": None}),
    "posix": Person(
        "LC_ALL=C without Python's UTF-8 mode",
        environment={"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ),
    "ascii": Person("PYTHONIOENCODING=ascii", environment={"PYTHONIOENCODING": "ascii"}),
    "core": Person("one visible core", cores=1),
    "cores": Person("two visible cores", cores=2),
    "homeless": Person("HOME that is missing, an ordinary user", user=USER, environment={"HOME": "/nonexistent"}),
    "readonly": Person("HOME read-only", user=USER, environment={"HOME": "{home}/home"}, prepare=_read_only),
}


def run(home: Path, person: Person, methods: list[str], categories: list[str], commit: str) -> Path:
    """Make the person's clone and run the pipeline in it; the clone. Ends the program where it fails."""
    shutil.rmtree(home, ignore_errors=True)
    clone = home / person.folder
    home.mkdir(parents=True)
    person.prepare(home)
    make_clone(clone, methods, categories, commit)
    (clone / ".venv").symlink_to(Path(sys.prefix).resolve())
    given = {name: value and value.format(home=home) for name, value in person.environment.items()}
    if folder := given.get("TMPDIR"):
        Path(folder).mkdir(mode=0o777)
    if person.user:
        subprocess.run(["chown", "-R", f"{person.user}:{person.user}", str(clone)], check=True)
        for place in (home, given.get("TMPDIR", home)):
            os.chown(place, person.user, person.user)
    environment = {name: value for name, value in (os.environ | given).items() if value is not None}
    command = [clone / ".venv/bin/python", "-m", "anomaly_lib", "fanout", "--profile", "smoke"]
    with home.with_suffix(".log").open("wb") as log:
        done = subprocess.run(
            command,
            cwd=clone,
            env=environment,
            stdout=log,
            stderr=log,
            check=False,
            user=person.user,
            group=person.user,
            extra_groups=[] if person.user else None,
            umask=person.umask,
            preexec_fn=lambda: os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: person.cores]),
        )
    if done.returncode:
        raise SystemExit(f"{person.what}: fanout failed, see {home.with_suffix('.log')}")
    return clone


def main() -> None:
    """Run those that are named, keep their digests, and print a table of all that have run so far."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("people", nargs="*", metavar="PERSON", help=f"of {', '.join(PEOPLE)}; default: all")
    parser.add_argument("--work", type=Path, required=True, help="folder for clones and digests")
    parser.add_argument("--commit", default="HEAD", help="the same for everybody, when they run one by one")
    parser.add_argument("--methods", nargs="+", default=["draem", "dfr", "dmad"])
    parser.add_argument("--categories", nargs="+", default=["nut"])
    options = parser.parse_args()
    work = options.work.resolve()
    for name in options.people or PEOPLE:
        started = time.monotonic()
        clone = run(work / name, PEOPLE[name], options.methods, options.categories, options.commit)
        found = digests(clone)
        shutil.rmtree(work / name)
        (work / f"{name}.json").write_text(json.dumps(found))
        print(f"{name}: {len(found)} files, {time.monotonic() - started:.0f} s", flush=True)
    expected = json.loads((work / "plain.json").read_text())
    print(f"\n| person | files equal, of {len(expected)} | others |\n|---|---|---|")
    apart = 0
    for name, person in PEOPLE.items():
        if (file := work / f"{name}.json").exists():
            other = differing(json.loads(file.read_text()), expected)
            apart += len(other)
            print(f"| {person.what} | {len(expected) - len(other)} | {', '.join(other) or '–'} |")
    sys.exit(apart > 0)


if __name__ == "__main__":
    main()
