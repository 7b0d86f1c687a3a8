"""The command ``data ingest``."""

import argparse
from pathlib import Path

LAYOUTS = ("elpv",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments. Nothing here is slow to import."""
    parser.add_argument("layout", choices=LAYOUTS, help="what the source is")
    parser.add_argument("sources", type=Path, nargs="*", metavar="SOURCE", help="folders or archives; elpv needs none")
    parser.add_argument("--output", type=Path, metavar="DIR", help="default: data/LAYOUT")
    parser.add_argument("--category", action="append", default=[], metavar="C", help="only this one; may be repeated")


def run(options: argparse.Namespace) -> int:
    """Carry it out and say what was done and what comes next."""
    from anomaly_lib.ingest import Request, ingest

    outcome = ingest(Request(options.layout, tuple(options.sources), tuple(options.category)), options.output)
    if outcome.was_there:
        print(f"{outcome.target} is there already, from the same source: nothing to do")
        return 0
    print(f"wrote {outcome.target}")
    for line in outcome.lines:
        print(f"  {line}")
    return 0
