"""kill -9 at random moments of ``dvc repro`` and of ``fanout``, then the same command until it is done: which bytes?

    python benchmarks/kill.py --kills 10 --seed 0

Each of the two has a clone of its own (of what is committed) and the smoke profile cut down. Three of ten kills wait
for ``synthesize``, four for a training whose loop runs; the others come at any moment. Every other kill takes the
command's own process alone, whose children then live on; the rest take everything that the command has started. In the
end all files under reports/ and what dvc.lock says are compared with those of a ``dvc repro`` that nobody disturbed.
"""

import argparse
import contextlib
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from clones import PIPELINE, differing, digests, environment, make_clone, run_dvc

import psutil

COMMANDS = {
    "dvc repro": ["dvc", "repro", "--quiet", str(PIPELINE)],
    "fanout": ["anomaly_lib", "fanout", "--profile", "smoke"],
}
AIMS = (*["03_train"] * 4, *["02_synthesize"] * 3, *[""] * 3)
"""In turn, in the order of the stages: the notebook in which a kill is to come, or any moment."""
LATEST = 40.0
"""Seconds after the start at which a kill at any moment comes at the latest."""


def start(folder: Path, command: str) -> psutil.Popen:
    """Start it in a session of its own, as a terminal does."""
    arguments = [sys.executable, "-m", *COMMANDS[command]]
    with folder.with_suffix(".log").open("ab") as log:
        output = {"stdout": log, "stderr": log, "start_new_session": True}
        return psutil.Popen(arguments, cwd=folder, env=environment(), **output)


def notebooks(main: psutil.Popen) -> list[str]:
    """The notebooks that the command runs now."""
    found = []
    with contextlib.suppress(psutil.NoSuchProcess):
        for process in main.children(recursive=True):
            with contextlib.suppress(psutil.Error, IndexError):
                words = process.cmdline()
                if words[1:3] == ["-m", "anomaly_lib.nbrun"]:
                    found.append(Path(words[3]).stem + "".join(f" {w[7:]}" for w in words if w.startswith("method=")))
    return sorted(found)


def is_time(folder: Path, main: psutil.Popen, aim: str) -> bool:
    """Whether the notebook that a kill waits for is at work; a training when its loop shows progress."""
    if not any(aim in name for name in notebooks(main)):
        return False
    if aim != "03_train":
        return True
    bars = (folder / "build/failed").glob("train-*.progress")
    return any("%" in file.read_text() for file in bars if file.stat().st_mtime > main.create_time())


def kill_at(folder: Path, main: psutil.Popen, aim: str, alone: bool, draw: random.Random) -> str | None:
    """Wait for the moment and kill; what was at work then, or None where the command ended before."""
    moment = time.monotonic() + draw.uniform(1, LATEST)
    while time.monotonic() < moment if not aim else not is_time(folder, main, aim):
        if main.status() == psutil.STATUS_ZOMBIE:
            return None
        time.sleep(0.05)
    time.sleep(draw.uniform(0, 1.5))  # synthesize and a training take longer than that
    running = notebooks(main)
    if main.status() == psutil.STATUS_ZOMBIE:
        return None
    family = [] if alone else main.children(recursive=True)
    for process in [main, *family]:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    return ", ".join(running) or "no notebook"


def disturbed(folder: Path, command: str, kills: int, draw: random.Random) -> list[tuple[str, str, str, str]]:
    """Run the command with so many kills, then to its end; a row for each kill."""
    rows = []
    for number in range(kills):
        aim, alone, started = AIMS[number % len(AIMS)], number % 2 == 0, time.monotonic()
        main = start(folder, command)
        running = kill_at(folder, main, aim, alone, draw)
        if running is None:  # everything was done: begin again, without what was kept
            if code := main.wait():
                raise SystemExit(f"{command}: exit code {code} in {folder}, whose log lies beside it")
            start_anew(folder)
            running = "(it ended before; all was removed)"
        main.wait()
        rows.append((command, "alone" if alone else "with all", f"{time.monotonic() - started:.0f} s", running))
        print(" | ".join(rows[-1]), flush=True)
    if code := start(folder, command).wait():
        raise SystemExit(f"{command}: exit code {code} in {folder}, whose log lies beside it")
    return rows


def start_anew(folder: Path) -> None:
    """Undo what an ended run has made, so that the next kills meet work."""
    subprocess.run(["git", "clean", "-fdXq", "reports", "build", ".dvc/cache/runs"], cwd=folder, check=True)
    folder.joinpath(PIPELINE.with_name("dvc.lock")).unlink()


def main() -> None:
    """Print a row for each kill, and what differs in the end."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, help="keep the clones here; the undisturbed one may be there already")
    parser.add_argument("--methods", nargs="+", default=["draem", "dfr"])
    parser.add_argument("--categories", nargs="+", default=["nut"])
    options = parser.parse_args()
    rows, ends = [], []
    with tempfile.TemporaryDirectory() as temporary:
        whole = (options.work or Path(temporary)).resolve() / "undisturbed"
        if not whole.exists():
            make_clone(whole, options.methods, options.categories)
            run_dvc(whole, *COMMANDS["dvc repro"][1:])
        expected = digests(whole)
        for command in COMMANDS:
            folder = whole.with_name(command.replace(" ", "-"))
            make_clone(folder, options.methods, options.categories)
            rows += disturbed(folder, command, options.kills, random.Random(f"{command} {options.seed}"))
            other = differing(digests(folder), expected)
            ends.append(f"{command}: {len(expected) - len(other)} of {len(expected)} files equal {' '.join(other)}")
    print("\n| command | killed | after | at work then |\n|---|---|---|---|")
    print("\n".join(f"| {' | '.join(row)} |" for row in rows), "\n", "\n".join(ends), sep="\n")
    sys.exit(not all(end.endswith("equal ") for end in ends))


if __name__ == "__main__":
    main()
