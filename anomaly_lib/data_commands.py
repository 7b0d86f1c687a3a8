"""The commands of ``python -m anomaly_lib data``: describe, validate, ingest, ready, align, move, tile."""

import argparse
import sys
from pathlib import Path


def add_data_commands(commands) -> None:
    """Add them to the subparsers of ``data``."""
    for name, run, purpose in (
        ("describe", _data_describe, "counts, sizes and defect areas of a data folder"),
        ("validate", _data_validate, "everything that is wrong with a data folder, a line each"),
    ):
        command = commands.add_parser(name, help=purpose)
        command.add_argument("data", type=Path, metavar="DIR", help="folder of categories in MVTec shape")
        command.add_argument("--category", action="append", metavar="C", help="only this one; may be repeated")
        command.set_defaults(run=run)
    _add_ingest(commands)
    ready = commands.add_parser("ready", help="is a profile's data there? if not, what to get; the pipeline asks first")
    ready.add_argument("params_file", metavar="PARAMS_FILE", help="such as profiles/paper/params.yaml")
    ready.set_defaults(run=_data_ready)
    _add_copies(commands)


def _add_ingest(commands) -> None:
    from anomaly_lib.ingest.command import add_arguments

    command = commands.add_parser("ingest", help="a public data set or your own photos, as a folder under data/")
    add_arguments(command)
    command.set_defaults(run=_data_ingest)


def _add_copies(commands) -> None:
    align = commands.add_parser(
        "align",
        help="an aligned copy of a category: every photo turned and shifted onto a reference",
        description="A photo that does not come to resemble the reference clearly more is copied as it is. "
        "What was done to each stands in alignment.json, and where a photo has real pixels in valid/.",
    )
    align.add_argument("--reference", type=Path, metavar="FILE", help="default: the most typical normal training image")
    align.set_defaults(run=_data_align)
    move = commands.add_parser("move", help="a copy of a category with every photo turned and shifted at random")
    move.add_argument("--seed", type=int, default=0, metavar="N", help="another seed gives another copy; default: 0")
    move.add_argument("--degrees", type=float, default=15.0, help="largest turn either way; default: 15")
    move.add_argument("--shift", type=float, default=0.08, help="largest shift, of width and height; default: 0.08")
    move.set_defaults(run=_data_move)
    tile = commands.add_parser(
        "tile",
        help="a copy of a category cut into tiles, to train on parts of large photos",
        description="A tile of an anomalous photo is anomalous if its mask has a defect there; its other tiles are "
        "left out. tiles.json says where each tile lies. Look at whole photos with 'detect --tile' and the same size.",
    )
    tile.add_argument("--size", type=positive, required=True, metavar="N", help="side of a tile, pixels")
    tile.add_argument("--overlap", type=float, default=0.0, metavar="F", help="share of a tile; default: 0")
    tile.add_argument("--train-only", action="store_true", help="without the test photos: for a category without masks")
    tile.set_defaults(run=_data_tile)
    for command in (align, move, tile):
        command.add_argument("source", type=Path, metavar="SOURCE", help="folder of the category, in MVTec shape")
        command.add_argument("target", type=Path, metavar="TARGET", help="new folder for the copy")
        command.add_argument("--max-gigabytes", type=float, metavar="G", help="refuse to write more")


def positive(text: str) -> int:
    """A whole number of at least 1, as an argument."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not at least 1")
    return value


# Each command imports what it needs: `data describe` must not wait for torch.


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


def _data_ready(options: argparse.Namespace) -> int:
    from anomaly_lib.ingest.ready import require_data
    from anomaly_lib.params import load_params

    require_data(load_params(options.params_file))
    return 0


def _data_ingest(options: argparse.Namespace) -> int:
    from anomaly_lib.ingest.command import run

    return run(options)


def _data_align(options: argparse.Namespace) -> int:
    from anomaly_lib.alignment import align_category

    summary = align_category(options.source, options.target, options.reference, max_gigabytes=options.max_gigabytes)
    print(f"wrote {options.target}: {summary}")
    return 0


def _data_move(options: argparse.Namespace) -> int:
    from anomaly_lib.alignment import move_category

    how = {"degrees": options.degrees, "shift": options.shift, "max_gigabytes": options.max_gigabytes}
    count = move_category(options.source, options.target, options.seed, **how)
    print(f"wrote {options.target}: {count} images moved, seed {options.seed}")
    return 0


def _data_tile(options: argparse.Namespace) -> int:
    from anomaly_lib.tiling import Tiling, tile_category

    tiling = Tiling(options.size, options.overlap)
    how = {"train_only": options.train_only, "max_gigabytes": options.max_gigabytes}
    print(f"wrote {options.target}: {tile_category(options.source, options.target, tiling, **how)}")
    return 0
