"""``python -m anomaly_tools.live``: build the live page."""

import argparse
import sys
from pathlib import Path

from anomaly_lib.base import numerics
from anomaly_lib.base.errors import exit_code
from anomaly_lib.params import load_profile, project_root


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m anomaly_tools.live", description=__doc__.split(": ")[1])
    parser.add_argument("--profile", metavar="NAME", help="a folder under profiles/; default: the root profile")
    parser.add_argument("--categories", nargs="+", metavar="C", help="default: all that have three trained models")
    parser.add_argument("--output", type=Path, metavar="DIR", help="default: build/live")
    options = parser.parse_args(arguments)
    return exit_code(lambda: _build(options))


def _build(options: argparse.Namespace) -> None:
    params = load_profile(options.profile)
    numerics.choose(params.numerics)
    from anomaly_lib.base.reproducibility import make_deterministic
    from anomaly_tools.live.build import build

    make_deterministic(params.threads)
    output = options.output or project_root() / "build/live"
    for line in build(params, output, options.categories):
        print(line)
    size = sum(file.stat().st_size for file in output.rglob("*") if file.is_file())
    print(f"wrote {output}, {size / 1e6:.0f} MB: open {output / 'index.html'} in a browser")


if __name__ == "__main__":
    sys.exit(main())
