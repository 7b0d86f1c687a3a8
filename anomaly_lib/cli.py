"""The few commands. Exit code 0: fine. 1: checked, and something is wrong. 2: bad input, one line on stderr."""

import argparse
import importlib
import sys
from collections.abc import Callable
from pathlib import Path

from anomaly_lib.base import numerics
from anomaly_lib.base.errors import InputError, exit_code
from anomaly_lib.data_commands import add_data_commands, positive

TOOLS = {
    "check": "anomaly_tools.check",
    "compare": "anomaly_tools.compare",
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
    check.set_defaults(run=_tool("check"))
    fanout = commands.add_parser("fanout", help="run a profile's pipeline, independent stages side by side")
    fanout.add_argument("--profile", metavar="NAME", help="a folder under profiles/; default: the root profile")
    fanout.add_argument("--jobs", type=positive, metavar="N", help="stages at a time; default: the number of cores")
    fanout.add_argument("--workers", type=positive, metavar="N", help="worker processes instead, one a GPU")
    fanout.add_argument("--scheduler", metavar="ADDRESS", help="workers of a Dask scheduler; see docs/cluster.md")
    fanout.set_defaults(run=_tool("fanout"))
    times = commands.add_parser("times", help="training times, latency and sizes of a profile's models, as a table")
    times.add_argument("--profile", metavar="NAME", help="a folder under profiles/; default: the root profile")
    times.add_argument("--repeats", type=positive, default=50, metavar="N", help="photos to time; default: 50")
    times.set_defaults(run=_tool("times"))
    _add_compare(commands)
    _add_detect(commands)
    _add_official(commands)
    data = commands.add_parser("data", help="sample data, and a look at any data folder")
    _add_data(data.add_subparsers(required=True, metavar="ACTION"))
    return parser


def _add_compare(commands) -> None:
    compare = commands.add_parser(
        "compare",
        help="a profile's results against those that git holds: files, numbers, and why they differ",
        description="Compares the results in this work tree with the committed ones: each number is equal, equal "
        "after rounding, within the spread of seeds, or beyond it. Exit code 0: all equal, at least after rounding, or "
        "git holds no results of the profile. 1: something differs or is missing. 2: cannot be compared.",
    )
    compare.add_argument("--profile", metavar="NAME", help="a folder under profiles/; default: the root profile")
    compare.add_argument(
        "--with",
        dest="folder",
        type=Path,
        metavar="FOLDER",
        help="compare the results in FOLDER, another clone or its reports folder, with those here instead",
    )
    compare.add_argument("--json", action="store_true", help="print all of it as JSON")
    compare.set_defaults(run=_tool("compare"))


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
        type=positive,
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
    read.add_argument("--image-size", type=positive, metavar="N", help="side it was trained at; default: the authors'")
    read.set_defaults(run=_import_official)
    write = commands.add_parser("export-official", help="a trained model as files for the authors' own code")
    write.add_argument("model", type=Path, metavar="MODEL_DIR", help="folder of a trained model")
    write.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder for the files")
    write.set_defaults(run=_export_official)


def _add_data(commands) -> None:
    sample = commands.add_parser("sample", help="write the procedural sample data set")
    sample.add_argument("--output", type=Path, default=Path("data"), metavar="DIR", help="default: data")
    sample.add_argument("--seed", type=int, help="another seed gives another data set")
    sample.add_argument("--workers", type=positive, default=1, metavar="N", help="processes; the bytes do not change")
    sample.set_defaults(run=_tool("data sample"))
    add_data_commands(commands)


# Each command imports what it needs: `data describe` must not wait for torch.


def _tool(command: str) -> Callable[[argparse.Namespace], int]:
    def run(options: argparse.Namespace) -> int:
        if command == "times":  # it runs models: numerics are chosen before torch loads
            from anomaly_lib.params import load_profile

            numerics.choose(load_profile(options.profile).numerics)
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
    folder, threads = _model_folder(options)  # chooses numerics, before the next imports load torch
    from anomaly_lib.base.reproducibility import make_deterministic
    from anomaly_lib.detect.run import detect
    from anomaly_lib.figures.style import use_style
    from anomaly_lib.methods.checkpoints import load_model

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

    pipeline = (options.method, options.category, options.seed, options.profile)
    if options.model:
        if any(value is not None for value in pipeline):
            raise InputError("--model names the model alone: leave out --method, --category, --seed and --profile")
        return options.model, 1
    if not (options.method and options.category):
        raise InputError("which model? give --method and --category, or --model with a model's folder")
    from anomaly_lib.params import load_profile

    params = load_profile(options.profile)
    numerics.choose(params.numerics)
    from anomaly_lib.pipeline.runs import find_model

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
    from anomaly_lib.base.reproducibility import make_deterministic
    from anomaly_lib.methods.official import import_official

    make_deterministic(threads=1)
    files = (options.files, options.output, options.category, options.data, options.weights, options.image_size)
    model = import_official(options.method, *files)
    threshold = model.thresholds["image"]
    found = "no thresholds" if threshold is None else f"image threshold {threshold:.4g}, {model.thresholds['source']}"
    print(f"wrote {options.output}: {model.method.title}, {model.category}, {found}")
    return 0


def _export_official(options: argparse.Namespace) -> int:
    from anomaly_lib.methods.official import export_official

    for file in export_official(options.model, options.output):
        print(f"wrote {file}")
    return 0
