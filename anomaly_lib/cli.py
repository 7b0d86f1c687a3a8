"""The few commands. Exit code 0: fine. 1: checked, and something is wrong. 2: bad input, one line on stderr."""

import argparse
import importlib
import sys
from collections.abc import Callable
from pathlib import Path

from anomaly_lib.base.errors import InputError, exit_code

TOOLS = {
    "fanout": "anomaly_tools.fanout",
    "times": "anomaly_tools.times",
    "data sample": "anomaly_tools.sample.write",
}
"""Command -> the module whose ``run(options)`` it calls. The library does not import tools: they are found by name."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = _parser().parse_args(arguments)
    return exit_code(lambda: options.run(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m anomaly_lib", description="Surface anomaly detection suite.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    check = commands.add_parser("check", help="is this environment complete? [OK]/[FAIL] lines with remedies")
    check.set_defaults(run=_check)
    fanout = commands.add_parser("fanout", help="run a profile's pipeline, independent stages side by side")
    fanout.add_argument("--profile", metavar="NAME", help="a folder under profiles/; default: the root profile")
    fanout.add_argument("--jobs", type=_positive, metavar="N", help="stages at a time; default: the number of cores")
    fanout.add_argument("--workers", type=_positive, metavar="N", help="worker processes instead, one a GPU")
    fanout.add_argument("--scheduler", metavar="ADDRESS", help="workers of a Dask scheduler; see docs/cluster.md")
    fanout.set_defaults(run=_tool("fanout"))
    times = commands.add_parser("times", help="training times, latency and sizes of a profile's models, as a table")
    times.add_argument("--profile", metavar="NAME", help="a folder under profiles/; default: the root profile")
    times.add_argument("--repeats", type=_positive, default=50, metavar="N", help="photos to time; default: 50")
    times.set_defaults(run=_tool("times"))
    _add_detect(commands)
    _add_official(commands)
    _add_data_commands(commands.add_parser("data", help="sample data, and a look at any data folder"))
    return parser


def _add_detect(commands) -> None:
    detect = commands.add_parser(
        "detect",
        help="look at photos with a trained model: pictures, JSON, CSV",
        description="Scores an image, or all images of a folder and its sub-folders. Exit code 0: all done. "
        "1: some could not be read and were skipped. 2: nothing could be done.",
    )
    detect.add_argument("images", type=Path, metavar="IMAGE_OR_FOLDER")
    detect.add_argument("--output", type=Path, required=True, metavar="DIR", help="for pictures and tables")
    model = detect.add_argument_group("model", "either --method and --category, or --model")
    model.add_argument("--method", metavar="M", help="method of a model that the pipeline trained")
    model.add_argument("--category", metavar="C", help="its category")
    model.add_argument("--seed", type=int, metavar="N", help="its random seed; default: the profile's first")
    model.add_argument("--profile", metavar="NAME", help="a folder under profiles/; default: the root profile")
    model.add_argument("--model", type=Path, metavar="DIR", help="folder of a trained or imported model")
    detect.add_argument("--region", type=Path, metavar="FILE", help="region of interest; see docs/techniques.md")
    detect.add_argument(
        "--tile",
        type=_positive,
        metavar="N",
        help="look at a photo larger than N pixels in tiles of that side, each resized to the model's input. The model "
        "should come from such tiles ('data tile'): one trained on whole photos knows parts at another scale, and its "
        "thresholds do not hold",
    )
    detect.add_argument("--overlap", type=float, metavar="F", help="share of a tile, with --tile; default: 0.25")
    detect.add_argument("--maps", action="store_true", help="also NAME.npy: float32 map at the photo's resolution")
    detect.add_argument("--no-pictures", action="store_true", help="tables only, which is faster")
    detect.add_argument("--json", action="store_true", help="print results.json")
    detect.set_defaults(run=_detect)


def _add_official(commands) -> None:
    read = commands.add_parser("import-official", help="a checkpoint of a paper's authors as a model that detect uses")
    read.add_argument("method", metavar="METHOD", help="draem, dfr or dmad")
    read.add_argument("files", type=Path, nargs="+", metavar="FILE", help="the authors' file, or both of DRAEM's")
    read.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder for the model")
    read.add_argument("--category", metavar="C", help="what it was trained on")
    read.add_argument("--data", type=Path, metavar="DIR", help="find thresholds on this data's category C")
    read.add_argument("--weights", type=Path, metavar="FILE", help="the backbone's ImageNet weights; default: timm's")
    read.add_argument("--image-size", type=_positive, metavar="N", help="side it was trained at; default: the authors'")
    read.set_defaults(run=_import_official)
    write = commands.add_parser("export-official", help="a trained model as files for the authors' own code")
    write.add_argument("model", type=Path, metavar="MODEL_DIR", help="folder of a trained model")
    write.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder for the files")
    write.set_defaults(run=_export_official)


def _add_data_commands(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(required=True, metavar="ACTION")
    sample = commands.add_parser("sample", help="write the procedural sample data set")
    sample.add_argument("--output", type=Path, default=Path("data"), metavar="DIR", help="default: data")
    sample.add_argument("--seed", type=int, help="another seed gives another data set")
    sample.add_argument("--workers", type=_positive, default=1, metavar="N", help="processes; the bytes do not change")
    sample.set_defaults(run=_tool("data sample"))
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
    tile.add_argument("--size", type=_positive, required=True, metavar="N", help="side of a tile, pixels")
    tile.add_argument("--overlap", type=float, default=0.0, metavar="F", help="share of a tile; default: 0")
    tile.add_argument("--train-only", action="store_true", help="without the test photos: for a category without masks")
    tile.set_defaults(run=_data_tile)
    for command in (align, move, tile):
        command.add_argument("source", type=Path, metavar="SOURCE", help="folder of the category, in MVTec shape")
        command.add_argument("target", type=Path, metavar="TARGET", help="new folder for the copy")
        command.add_argument("--max-gigabytes", type=float, metavar="G", help="refuse to write more")


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not at least 1")
    return value


# Each command imports what it needs: `data describe` must not wait for torch.


def _check(options: argparse.Namespace) -> int:
    from anomaly_lib.check import run_checks

    return 0 if run_checks() else 1


def _tool(command: str) -> Callable[[argparse.Namespace], int]:
    def run(options: argparse.Namespace) -> int:
        package = TOOLS[command].partition(".")[0]
        try:
            tool = importlib.import_module(TOOLS[command])
        except ModuleNotFoundError as error:
            if error.name != package:
                raise
            raise InputError(f"'{command}' is part of {package}, which is not installed; run 'make env'") from None
        return tool.run(options)

    return run


def _detect(options: argparse.Namespace) -> int:
    from anomaly_lib.detect.run import detect
    from anomaly_lib.methods.checkpoints import load_model
    from anomaly_lib.reporting.style import use_style
    from anomaly_lib.reproducibility import make_deterministic

    folder, threads = _model_folder(options)
    how = {"region": options.region, "tiling": _tiling(options)}
    make_deterministic(threads)
    use_style()
    model = load_model(folder)
    pictures = not options.no_pictures
    results = detect(model, options.images, options.output, pictures=pictures, maps=options.maps, **how)
    for problem in results.skipped:
        print(f"skipped: {problem}", file=sys.stderr)
    print(results.to_json() if options.json else results.summary(options.output))
    return 1 if results.skipped else 0


def _model_folder(options: argparse.Namespace) -> tuple[Path, int]:
    """Where the wanted model lies, and with how many CPU threads it is to run: other numbers change last bits."""
    from anomaly_lib.params import load_params
    from anomaly_lib.pipeline.trained_models import find_model

    pipeline = (options.method, options.category, options.seed, options.profile)
    if options.model:
        if any(value is not None for value in pipeline):
            raise InputError("--model names the model alone: leave out --method, --category, --seed and --profile")
        return options.model, 1
    if not (options.method and options.category):
        raise InputError("which model? give --method and --category, or --model with a model's folder")
    params = load_params(f"profiles/{options.profile}/params.yaml" if options.profile else "params.yaml")
    return find_model(params, options.method, options.category, options.seed), params.threads


def _tiling(options: argparse.Namespace):
    """The tiles that --tile and --overlap ask for, or None."""
    from anomaly_lib.tiling.grid import Tiling

    if options.tile:
        return Tiling(options.tile, 0.25 if options.overlap is None else options.overlap)
    if options.overlap is not None:
        raise InputError("--overlap is of tiles: give their side with --tile, too")
    return None


def _import_official(options: argparse.Namespace) -> int:
    from anomaly_lib.methods.official.models import import_official
    from anomaly_lib.reproducibility import make_deterministic

    make_deterministic(threads=1)
    files = (options.files, options.output, options.category, options.data, options.weights, options.image_size)
    model = import_official(options.method, *files)
    threshold = model.thresholds["image"]
    found = "no thresholds" if threshold is None else f"image threshold {threshold:.4g}, {model.thresholds['source']}"
    print(f"wrote {options.output}: {model.method.title}, {model.category}, {found}")
    return 0


def _export_official(options: argparse.Namespace) -> int:
    from anomaly_lib.methods.official.models import export_official

    for file in export_official(options.model, options.output):
        print(f"wrote {file}")
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


def _data_ready(options: argparse.Namespace) -> int:
    from anomaly_lib.ingest.ready import require_data
    from anomaly_lib.params import load_params

    require_data(load_params(options.params_file))
    return 0


def _data_ingest(options: argparse.Namespace) -> int:
    from anomaly_lib.ingest.command import run

    return run(options)


def _data_align(options: argparse.Namespace) -> int:
    from anomaly_lib.alignment.folder import align_category

    summary = align_category(options.source, options.target, options.reference, max_gigabytes=options.max_gigabytes)
    print(f"wrote {options.target}: {summary}")
    return 0


def _data_move(options: argparse.Namespace) -> int:
    from anomaly_lib.alignment.moved import move_category

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
