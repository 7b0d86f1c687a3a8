"""The commands. Exit code 0: fine. 1: checked, and something is wrong. 2: bad input, one line on stderr."""

import sys
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer
from typer import Argument, Option
from typer.exceptions import TyperException

from anomaly_lib.base import numerics
from anomaly_lib.base.errors import InputError, exit_code

PROGRAM = "python -m anomaly_lib"
Profile = Annotated[str | None, Option(help="a folder under profiles/; default: the root profile")]

PLAIN: dict[str, Any] = {
    "rich_markup_mode": None,
    "pretty_exceptions_enable": False,
    "add_completion": False,
    "context_settings": {"help_option_names": ["-h", "--help"], "max_content_width": 120},
}
"""How every group of commands is shown: as plain text."""
app = typer.Typer(**PLAIN)


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    return exit_code(lambda: _run(sys.argv[1:] if arguments is None else arguments))


def _run(arguments: list[str]) -> int | None:
    # not by ``app()``, which takes Ctrl-C and a closed pipe for itself
    if find_spec("anomaly_tools"):  # by its name alone: the library imports no tool
        import_module("anomaly_tools.commands").add_to(app)
    command = typer.main.get_command(app)
    try:
        with command.make_context(PROGRAM, list(arguments)) as context:
            return command.invoke(context)
    except typer.Exit as done:  # --help
        return done.exit_code
    except TyperException as error:
        where = getattr(getattr(error, "ctx", None), "command_path", PROGRAM)
        message = " ".join(error.format_message().split()).rstrip(".")
        raise InputError(f"{message}; see '{where} --help'") from None


@app.callback()
def _suite() -> None:
    """Surface anomaly detection suite."""


# Each command imports what it needs: `data describe` must not wait for torch.


@app.command()
def detect(
    images: Annotated[Path, Argument(metavar="IMAGE_OR_FOLDER")],
    output: Annotated[Path, Option(help="for pictures and tables")],
    method: Annotated[str | None, Option(help="method of a model that the pipeline trained")] = None,
    category: Annotated[str | None, Option(help="its category")] = None,
    seed: Annotated[int | None, Option(help="its random seed; default: the profile's first")] = None,
    profile: Profile = None,
    model: Annotated[Path | None, Option(help="folder of a trained or imported model")] = None,
    bundle: Annotated[Path | None, Option(help="folder of an exported model; needs no torch")] = None,
    region: Annotated[Path | None, Option(help="region of interest; see docs/techniques.md")] = None,
    tile: Annotated[int | None, Option(min=1, help="cut larger photos into tiles of that side, in pixels")] = None,
    overlap: Annotated[float | None, Option(help="share of a tile, with --tile; default: 0.25")] = None,
    threshold: Annotated[float | None, Option(help="decide by this image score, not by the model's own")] = None,
    unsure: Annotated[
        float, Option(min=0, help="'unsure' within this share of the way from a typical normal score to the threshold")
    ] = 0.1,
    maps: Annotated[bool, Option("--maps", help="also NAME.npy: float32 map at the photo's resolution")] = False,
    no_pictures: Annotated[bool, Option("--no-pictures", help="tables only, which is faster")] = False,
    json: Annotated[bool, Option("--json", help="print results.json")] = False,
) -> int:
    """Score photos with a trained model: pictures, JSON, CSV.

    Scores an image, or all images of a folder and its sub-folders, with a model that is named by --method and
    --category, by --model, or by --bundle. Exit code 0: all done. 1: some could not be read and were skipped. 2:
    nothing could be done.

    With --tile, each tile is resized to the model's input. The model should come from such tiles ('data tile'): one
    trained on whole photos knows parts at another scale, and its thresholds do not hold.
    """
    named = {"method": method, "category": category, "seed": seed, "profile": profile}
    chosen = _bundle(bundle, model=model, region=region, **named) if bundle else _trained_model(model, **named)
    from anomaly_lib.detect.run import detect as look
    from anomaly_lib.figures.style import use_style

    pictures = not no_pictures
    if pictures:
        use_style()
    if threshold is not None:
        chosen = replace(chosen, thresholds=chosen.thresholds | {"image": threshold, "image_rule": "--threshold"})
    looks = {"region": region, "tiling": _tiling(tile, overlap), "pictures": pictures, "maps": maps, "unsure": unsure}
    results = look(chosen, images, output, **looks)
    for problem in results.skipped:
        print(f"skipped: {problem}", file=sys.stderr)
    print(results.to_json() if json else results.summary(output))
    return 1 if results.skipped else 0


def _bundle(bundle: Path, **others: Any) -> Any:
    """The bundle that --bundle names; without torch."""
    if given := [name for name, value in others.items() if value is not None]:
        raise InputError(f"--bundle names the model alone, with its region of interest: leave out --{given[0]}")
    from anomaly_lib.export.bundle import load_bundle

    return load_bundle(bundle)


def _trained_model(model: Path | None, **pipeline: Any) -> Any:
    folder, threads = _model_folder(model, **pipeline)  # chooses numerics, before the next imports load torch
    from anomaly_lib.base.reproducibility import make_deterministic
    from anomaly_lib.methods.checkpoints import load_model

    make_deterministic(threads)
    return load_model(folder)


def _model_folder(model: Path | None, **pipeline: Any) -> tuple[Path, int]:
    """Where the wanted model lies, and with how many CPU threads it is to run: other numbers change last bits."""
    if model:
        if any(value is not None for value in pipeline.values()):
            raise InputError("--model names the model alone: leave out --method, --category, --seed and --profile")
        return model, 1
    method, category = pipeline["method"], pipeline["category"]
    if not (method and category):
        raise InputError("which model? give --method and --category, or --model with a model's folder")
    from anomaly_lib.params import load_profile

    params = load_profile(pipeline["profile"])
    numerics.choose(params.numerics)
    from anomaly_lib.pipeline.runs import find_model

    return find_model(params, method, category, pipeline["seed"]), params.threads


def _tiling(tile: int | None, overlap: float | None):
    """The tiles that --tile and --overlap ask for, or None."""
    if tile:
        from anomaly_lib.tiling.grid import Tiling

        return Tiling(tile, 0.25 if overlap is None else overlap)
    if overlap is not None:
        raise InputError("--overlap is of tiles: give their side with --tile, too")
    return None


@app.command()
def import_official(
    method: Annotated[str, Argument(help="draem, dfr or dmad")],
    files: Annotated[list[Path], Argument(help="the authors' file, or both of DRAEM's")],
    output: Annotated[Path, Option(help="folder for the model")],
    category: Annotated[str | None, Option(help="what it was trained on")] = None,
    data: Annotated[Path | None, Option(help="find thresholds on this data's category C")] = None,
    weights: Annotated[Path | None, Option(help="the backbone's ImageNet weights; default: timm's")] = None,
    image_size: Annotated[int | None, Option(min=1, help="side it was trained at; default: the authors'")] = None,
) -> None:
    """Convert a checkpoint of a paper's authors."""
    from anomaly_lib.base.reproducibility import make_deterministic
    from anomaly_lib.methods import official

    make_deterministic(threads=1)
    model = official.import_official(method, files, output, category, data, weights, image_size)
    threshold = model.thresholds["image"]
    found = "no thresholds" if threshold is None else f"image threshold {threshold:.4g}, {model.thresholds['source']}"
    print(f"wrote {output}: {model.method.title}, {model.category}, {found}")


@app.command()
def export_official(
    model: Annotated[Path, Argument(metavar="MODEL_DIR", help="folder of a trained model")],
    output: Annotated[Path, Option(help="folder for the files")],
) -> None:
    """Convert a model for the authors' own code."""
    from anomaly_lib.methods import official

    for file in official.export_official(model, output):
        print(f"wrote {file}")


@app.command()
def export(
    method: Annotated[str, Argument(help="of a model that the pipeline trained")],
    category: Annotated[str, Option(help="its category")],
    output: Annotated[Path, Option(help="folder for the bundle")],
    seed: Annotated[int | None, Option(help="its random seed; default: the profile's first")] = None,
    profile: Profile = None,
) -> None:
    """Write a trained model as a bundle that runs without torch: ONNX and a record."""
    from anomaly_lib.params import load_profile, project_root

    params = load_profile(profile)
    numerics.choose(params.numerics)
    from anomaly_lib.base.reproducibility import make_deterministic
    from anomaly_lib.export import write
    from anomaly_lib.methods.checkpoints import load_model
    from anomaly_lib.pipeline.runs import find_model

    make_deterministic(params.threads)
    model = load_model(find_model(params, method, category, seed))
    data = project_root() / params.data / category
    folder = write.export(model, data, output, params.evaluation.region_of_interest)
    print(f"wrote {folder}: {model.method.title}, {model.category}; 'python -m anomaly_lib verify {folder}' checks it")


@app.command()
def verify(bundle: Annotated[Path, Argument(help="folder that 'export' wrote")]) -> int:
    """Does a bundle still say what the trained model said? Exit code 1: no."""
    from anomaly_lib.export import verify

    problems = verify.verify(bundle)
    for problem in problems:
        print(f"{bundle}: {problem}", file=sys.stderr)
    if not problems:
        print(f"{bundle}: its model says what the trained model said")
    return 1 if problems else 0
