"""The few commands. Exit code 0: fine. 1: checked, and something is wrong. 2: bad input, one line on stderr."""

import argparse
import sys
from pathlib import Path

from anomaly_lib.errors import InputError


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = _parser().parse_args(arguments)
    try:
        return options.run(options)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m anomaly_lib", description="Surface anomaly detection suite.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    check = commands.add_parser("check", help="is this environment complete? [OK]/[FAIL] lines with remedies")
    check.set_defaults(run=_check)
    fanout = commands.add_parser("fanout", help="run a profile's pipeline, independent stages side by side")
    fanout.add_argument("--profile", metavar="NAME", help="a folder under profiles/; default: the root profile")
    fanout.add_argument("--jobs", type=_positive, metavar="N", help="stages at a time; default: the number of cores")
    fanout.set_defaults(run=_fanout)
    _add_data_commands(commands.add_parser("data", help="sample data, and a look at any data folder"))
    return parser


def _add_data_commands(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(required=True, metavar="ACTION")
    sample = commands.add_parser("sample", help="write the procedural sample data set")
    sample.add_argument("--output", type=Path, default=Path("data"), metavar="DIR", help="default: data")
    sample.add_argument("--seed", type=int, help="another seed gives another data set")
    sample.add_argument("--workers", type=_positive, default=1, metavar="N", help="processes; the bytes do not change")
    sample.set_defaults(run=_data_sample)
    for name, run, purpose in (
        ("describe", _data_describe, "counts, sizes and defect areas of a data folder"),
        ("validate", _data_validate, "everything that is wrong with a data folder, a line each"),
    ):
        command = commands.add_parser(name, help=purpose)
        command.add_argument("data", type=Path, metavar="DIR", help="folder of categories in MVTec shape")
        command.add_argument("--category", action="append", metavar="C", help="only this one; may be repeated")
        command.set_defaults(run=run)


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not at least 1")
    return value


# Each command imports what it needs: `data describe` must not wait for torch.


def _check(options: argparse.Namespace) -> int:
    from anomaly_lib.check import run_checks

    return 0 if run_checks() else 1


def _fanout(options: argparse.Namespace) -> int:
    from anomaly_lib.fanout import fanout

    return 1 if fanout(options.profile, options.jobs) else 0


def _data_sample(options: argparse.Namespace) -> int:
    from anomaly_lib.data.sample import DEFAULT_SEED, write_sample

    seed = DEFAULT_SEED if options.seed is None else options.seed
    write_sample(options.output, seed=seed, workers=options.workers)
    print(f"wrote {options.output / 'sample'} and {options.output / 'textures'}")
    return 0


def _data_describe(options: argparse.Namespace) -> int:
    from anomaly_lib.data.describe import describe, to_markdown

    print(to_markdown(describe(options.data, options.category, progress=True)), end="")
    return 0


def _data_validate(options: argparse.Namespace) -> int:
    from anomaly_lib.data.validate import validate

    problems = validate(options.data, options.category, progress=True)
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    if not problems:
        print(f"{options.data}: no problem found")
    return 2 if problems else 0
