"""Commands of ``python -m anomaly_lib`` that are tools, not methods; ``anomaly_lib.cli`` adds them to its own."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from anomaly_lib.base import numerics
from anomaly_lib.cli import PLAIN

app, data = typer.Typer(), typer.Typer(**PLAIN)

DataFolder = Annotated[Path, Argument(help="folder of categories in MVTec shape")]
Categories = Annotated[list[str] | None, Option(help="only this one; may be repeated")]
Source = Annotated[Path, Argument(help="folder of the category, in MVTec shape")]
Target = Annotated[Path, Argument(help="new folder for the copy")]
MaxGigabytes = Annotated[float | None, Option(help="refuse to write more")]

Only = Annotated[str | None, Option(help="only these, with commas between them; leaves the report out")]
Profile = Annotated[str | None, Option(help="a folder under profiles/; default: the root profile")]

# Each command imports what it needs: `data describe` must not wait for torch.


def add_to(commands: typer.Typer) -> None:
    """Add these to the library's commands, once."""
    if data not in (group.typer_instance for group in commands.registered_groups):
        commands.registered_commands[:0] = app.registered_commands
        commands.add_typer(data, name="data", help="Sample data, public data, your own photos.")


@app.command()
def check() -> int:
    """Is this environment complete? [OK] and [FAIL] lines."""
    from anomaly_tools.check import run

    return run()


@app.command()
def fanout(
    profile: Profile = None,
    jobs: Annotated[int | None, Option(min=1, help="stages at a time; default: the number of cores")] = None,
    workers: Annotated[int | None, Option(min=1, help="worker processes instead, one per GPU")] = None,
    scheduler: Annotated[str | None, Option(help="address of a Dask scheduler; see docs/cluster.md")] = None,
    methods: Only = None,
    categories: Only = None,
) -> int:
    """Run the stages of a profile side by side."""
    from anomaly_tools.fanout import run

    return run(profile, jobs, workers, scheduler, methods, categories)


@app.command("profile")
def new_profile(
    name: Annotated[str, Argument(help="of the new folder under profiles/")],
    data: Annotated[str, Option(help="folder of its data, such as data/visa")],
    like: Annotated[str | None, Option(help="profile with the settings; default: the root profile")] = None,
    category: Annotated[
        list[str] | None, Option(help="only this one; may be repeated; default: all in the data")
    ] = None,
    textures: Annotated[str | None, Option(help="folder of textures; default: those of the settings")] = None,
) -> int:
    """Make a profile for other data from one that is there."""
    from anomaly_tools.profiles import run

    return run(name, like, data, category, textures)


@app.command()
def times(
    profile: Profile = None,
    repeats: Annotated[int, Option(min=1, help="photos to time")] = 50,
) -> int:
    """Training times, latency and sizes of models."""
    from anomaly_lib.params import load_profile

    params = load_profile(profile)
    numerics.choose(params.numerics)  # before the tool loads torch
    from anomaly_tools.times import run

    return run(params, repeats)


@app.command()
def compare(
    profile: Profile = None,
    folder: Annotated[Path | None, Option("--with", help="against another clone, or its reports folder")] = None,
    json: Annotated[bool, Option("--json", help="print all of it as JSON")] = False,
) -> int:
    """Compare results with those that git holds.

    Compares the results in this work tree with the committed ones: each number is equal, equal after rounding, within
    the spread of seeds, or beyond it. Exit code 0: all equal, at least after rounding, or git holds no results of the
    profile. 1: something differs or is missing. 2: cannot be compared.
    """
    from anomaly_tools.compare import run

    return run(profile, folder, json)


@data.command()
def sample(
    output: Annotated[Path, Option()] = Path("data"),
    seed: Annotated[int | None, Option(help="another seed gives another data set")] = None,
    workers: Annotated[int, Option(min=1, help="processes; the bytes do not change")] = 1,
) -> int:
    """Write the procedural sample data set."""
    from anomaly_tools.sample.write import run

    return run(output, seed, workers)


@data.command()
def ready(params_file: Annotated[str, Argument(help="such as profiles/paper/params.yaml")]) -> None:
    """Is the data of a profile there, and if not, what to get?"""
    from anomaly_lib.params import load_params
    from anomaly_tools.ingest.ready import require_data

    require_data(load_params(params_file))


@data.command(
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
    from anomaly_tools.ingest import Request, ingest

    request = Request(layout, tuple(sources or ()), tuple(category or ()), name, good, bad, masks)
    print(ingest(request, output).report())


@data.command()
def describe(data: DataFolder, category: Categories = None) -> None:
    """Print counts, sizes and defect areas of a data folder."""
    from anomaly_tools import describe

    print(describe.to_markdown(describe.describe(data, category, progress=True)), end="")


@data.command()
def validate(data: DataFolder, category: Categories = None) -> int:
    """Print every problem of a data folder, one line each."""
    from anomaly_tools.validate import validate

    problems = validate(data, category, progress=True)
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    if not problems:
        print(f"{data}: no problem found")
    return 2 if problems else 0


@data.command()
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
    from anomaly_tools.alignment import align_category

    summary = align_category(source, target, reference, max_gigabytes=max_gigabytes)
    print(f"wrote {target}: {summary}")


@data.command()
def move(
    source: Source,
    target: Target,
    seed: Annotated[int, Option(help="another seed gives another copy")] = 0,
    degrees: Annotated[float, Option(help="largest turn either way")] = 15.0,
    shift: Annotated[float, Option(help="largest shift, as a share of width and height")] = 0.08,
    max_gigabytes: MaxGigabytes = None,
) -> None:
    """Copy a category with photos turned and shifted at random."""
    from anomaly_tools.alignment import move_category

    count = move_category(source, target, seed, degrees=degrees, shift=shift, max_gigabytes=max_gigabytes)
    print(f"wrote {target}: {count} images moved, seed {seed}")


@data.command()
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
    from anomaly_tools.tile_copies import tile_category

    tiling = Tiling(size, overlap)
    counts = tile_category(source, target, tiling, train_only=train_only, max_gigabytes=max_gigabytes)
    print(f"wrote {target}: {counts}")
