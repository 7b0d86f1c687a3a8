"""The commands of ``python -m anomaly_lib data``, and where the tools are that commands use."""

import importlib
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer import Argument, Option

from anomaly_lib.base.errors import InputError

PLAIN: dict[str, Any] = {
    "rich_markup_mode": None,
    "pretty_exceptions_enable": False,
    "add_completion": False,
    "context_settings": {"help_option_names": ["-h", "--help"], "max_content_width": 120},
}
"""How every group of commands is shown: as plain text."""
app = typer.Typer(**PLAIN)

DataFolder = Annotated[Path, Argument(help="folder of categories in MVTec shape")]
Categories = Annotated[list[str] | None, Option(help="only this one; may be repeated")]
Source = Annotated[Path, Argument(help="folder of the category, in MVTec shape")]
Target = Annotated[Path, Argument(help="new folder for the copy")]
MaxGigabytes = Annotated[float | None, Option(help="refuse to write more")]

TOOLS = {
    "check": "anomaly_tools.check",
    "compare": "anomaly_tools.compare",
    "fanout": "anomaly_tools.fanout",
    "profile": "anomaly_tools.profiles",
    "times": "anomaly_tools.times",
    "data align": "anomaly_tools.alignment",
    "data describe": "anomaly_tools.describe",
    "data move": "anomaly_tools.alignment",
    "data tile": "anomaly_tools.tile_copies",
    "data validate": "anomaly_tools.validate",
    "data sample": "anomaly_tools.sample.write",
    "data ingest": "anomaly_tools.ingest",
    "data ready": "anomaly_tools.ingest.ready",
}
"""Command -> the module that does it. The library does not import tools: they are found by name."""

# Each command imports what it needs: `data describe` must not wait for torch.


def tool(command: str) -> Any:
    """The module of a command in ``TOOLS``. Raises InputError where only the library is installed."""
    package = TOOLS[command].partition(".")[0]
    try:
        return importlib.import_module(TOOLS[command])
    except ModuleNotFoundError as error:
        if error.name != package:
            raise
        raise InputError(f"'{command}' is part of {package}, which is not installed; run 'make env'") from None


@app.command()
def sample(
    output: Annotated[Path, Option()] = Path("data"),
    seed: Annotated[int | None, Option(help="another seed gives another data set")] = None,
    workers: Annotated[int, Option(min=1, help="processes; the bytes do not change")] = 1,
) -> int:
    """Write the procedural sample data set."""
    return tool("data sample").run(output, seed, workers)


@app.command()
def ready(params_file: Annotated[str, Argument(help="such as profiles/paper/params.yaml")]) -> None:
    """Is the data of a profile there, and if not, what to get?"""
    from anomaly_lib.params import load_params

    tool("data ready").require_data(load_params(params_file))


@app.command(
    epilog="""\b
examples:
  data ingest elpv                                      from the installed package elpv-dataset
  data ingest mvtec mvtec_anomaly_detection.tar.xz      an archive, or the folder it was unpacked to
  data ingest mvtec bottle.tar.xz cable.tar.xz          or one archive per category
  data ingest folder --good photos/ok --bad photos/ng --name my_parts
"""
)
def ingest(
    layout: Annotated[str, Argument(help="mvtec, mvtec_ad_2, mvtec_loco, visa, btad, dtd, elpv or folder")],
    sources: Annotated[list[Path] | None, Argument(help="folders or archives; elpv needs none")] = None,
    output: Annotated[Path | None, Option(help="default: data/LAYOUT; data/own for 'folder'")] = None,
    category: Categories = None,
    good: Annotated[Path | None, Option(help="for 'folder': photos without defects")] = None,
    bad: Annotated[Path | None, Option(help="for 'folder': photos with defects, or folders of them")] = None,
    masks: Annotated[Path | None, Option(help="for 'folder': masks of the bad photos, by their names")] = None,
    name: Annotated[str | None, Option(help="for 'folder': of the category; the result is DIR/NAME")] = None,
) -> None:
    """Bring a public data set or your own photos to data/.

    Copies the files, unchanged, into one layout. Interrupted, the same command goes on. Exit code 2: bad input.
    """
    ingests = tool("data ingest")
    request = ingests.Request(layout, tuple(sources or ()), tuple(category or ()), name, good, bad, masks)
    print(ingests.ingest(request, output).report())


@app.command()
def describe(data: DataFolder, category: Categories = None) -> None:
    """Print counts, sizes and defect areas of a data folder."""
    describes = tool("data describe")
    print(describes.to_markdown(describes.describe(data, category, progress=True)), end="")


@app.command()
def validate(data: DataFolder, category: Categories = None) -> int:
    """Print every problem of a data folder, one line each."""
    problems = tool("data validate").validate(data, category, progress=True)
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    if not problems:
        print(f"{data}: no problem found")
    return 2 if problems else 0


@app.command()
def align(
    source: Source,
    target: Target,
    reference: Annotated[Path | None, Option(help="default: the most typical normal training image")] = None,
    max_gigabytes: MaxGigabytes = None,
) -> None:
    """Copy a category with photos aligned to a reference.

    Every photo is turned and shifted onto the reference. One that does not come to resemble it clearly more is copied
    as it is. What was done to each stands in alignment.json, and where a photo has real pixels in valid/.
    """
    summary = tool("data align").align_category(source, target, reference, max_gigabytes=max_gigabytes)
    print(f"wrote {target}: {summary}")


@app.command()
def move(
    source: Source,
    target: Target,
    seed: Annotated[int, Option(help="another seed gives another copy")] = 0,
    degrees: Annotated[float, Option(help="largest turn either way")] = 15.0,
    shift: Annotated[float, Option(help="largest shift, as a share of width and height")] = 0.08,
    max_gigabytes: MaxGigabytes = None,
) -> None:
    """Copy a category with photos turned and shifted at random."""
    count = tool("data move").move_category(
        source, target, seed, degrees=degrees, shift=shift, max_gigabytes=max_gigabytes
    )
    print(f"wrote {target}: {count} images moved, seed {seed}")


@app.command()
def tile(
    source: Source,
    target: Target,
    size: Annotated[int, Option(min=1, help="side of a tile, pixels")],
    overlap: Annotated[float, Option(help="share of a tile")] = 0.0,
    train_only: Annotated[bool, Option("--train-only", help="no test photos: for a category without masks")] = False,
    max_gigabytes: MaxGigabytes = None,
) -> None:
    """Copy a category, cut into tiles.

    For training on parts of large photos. A tile of an anomalous photo is anomalous if its mask has a defect there;
    its other tiles are left out. tiles.json says where each tile lies. Look at whole photos with 'detect --tile' and
    the same size.
    """
    from anomaly_lib.tiling.grid import Tiling

    tiling = Tiling(size, overlap)
    counts = tool("data tile").tile_category(source, target, tiling, train_only=train_only, max_gigabytes=max_gigabytes)
    print(f"wrote {target}: {counts}")
