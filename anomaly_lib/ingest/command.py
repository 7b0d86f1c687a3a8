"""The command ``data ingest``."""

import argparse
import os
from pathlib import Path

NAMES = ("mvtec", "mvtec_ad_2", "mvtec_loco", "visa", "btad", "dtd", "elpv", "folder")
"""As in ``layouts``, whose import is slower than a --help should be."""
_EXAMPLES = """examples:
  data ingest elpv                                      from the installed package elpv-dataset
  data ingest mvtec mvtec_anomaly_detection.tar.xz      an archive, or the folder it was unpacked to
  data ingest mvtec bottle.tar.xz cable.tar.xz          or one archive per category
  data ingest folder --good photos/ok --bad photos/ng --name my_parts
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments. Nothing here is slow to import."""
    parser.description = (
        "Copies the files, unchanged, into one layout. Interrupted, the same command goes on. Exit code 2: bad input."
    )
    parser.epilog = _EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("layout", choices=NAMES, metavar="LAYOUT", help=", ".join(NAMES))
    parser.add_argument("sources", type=Path, nargs="*", metavar="SOURCE", help="folders or archives; elpv needs none")
    parser.add_argument("--output", type=Path, metavar="DIR", help="default: data/LAYOUT; data/own for 'folder'")
    parser.add_argument("--category", action="append", default=[], metavar="C", help="only this one; may be repeated")
    photos = parser.add_argument_group("for LAYOUT 'folder': photos of your own")
    photos.add_argument("--good", type=Path, metavar="DIR", help="photos without defects")
    photos.add_argument("--bad", type=Path, metavar="DIR", help="photos with defects, or a folder of them per type")
    photos.add_argument("--masks", type=Path, metavar="DIR", help="masks of the bad photos, by their names")
    photos.add_argument("--name", metavar="NAME", help="of the category: the result is DIR/NAME")


def run(options: argparse.Namespace) -> int:
    """Carry it out, and say what was done and what comes next."""
    from anomaly_lib.ingest import Request, ingest
    from anomaly_lib.ingest.guard import OWN
    from anomaly_lib.ingest.layouts import LAYOUTS

    photos = {key: getattr(options, key) for key in ("name", "good", "bad", "masks")}
    request = Request(options.layout, tuple(options.sources), tuple(options.category), **photos)
    outcome = ingest(request, options.output)
    target = os.path.relpath(outcome.target)
    if outcome.was_there:
        print(f"{target} is there already, from the same source: nothing to do")
    else:
        print(f"wrote {target}")
        for line in outcome.lines:
            print(f"  {line}")
        if outcome.left_out:
            print(outcome.left_out)
        print(f"licence: {LAYOUTS[options.layout].licence}")
        print("next: dvc add data")
        print(f"      {LAYOUTS[options.layout].next_step.format(target=target)}")
    if outcome.guarded:
        print(f"data.dvc names the remote '{OWN}' now: 'dvc push' fails until you give it a place of your own,")
        print(f"      dvc remote modify --local {OWN} url /path/or/url")
    return 0
