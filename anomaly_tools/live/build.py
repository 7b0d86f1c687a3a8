"""Write the live page's folder: page, engine, and for each category its photos and models as scripts."""

import base64
import json
import shutil
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import matplotlib as mpl
import numpy as np

from anomaly_lib.base.errors import InputError
from anomaly_lib.base.files import replacing
from anomaly_lib.data.folder import load_category
from anomaly_lib.figures.style import MAP_COLOURS, save_figure, use_style
from anomaly_lib.methods.checkpoints import load_model
from anomaly_lib.params import Params, project_root
from anomaly_lib.pipeline.runs import find_model
from anomaly_tools.live.engine import engine_script, packed
from anomaly_tools.live.models import live_model
from anomaly_tools.live.twin import Seen, chosen, twin_figure, twin_section

METHODS = ("draem", "dfr", "dmad")
PAGE = ("index.html", "live.css", "live.js")
FIRST = "nut"
"""The category that the page opens with, where it is there."""
TWIN = "<!-- twin -->"
LARGEST_CATEGORY = 40e6  # bytes
KINDS = {".jpg": "jpeg", ".jpeg": "jpeg", ".png": "png"}


def build(params: Params, output: Path, categories: Sequence[str] | None = None) -> list[str]:
    """Write the folder ``output`` and return a line about each category. An older folder is replaced.

    ``categories`` is by default every one of the profile that has a model of each method. Raises InputError if there is
    none, and as ``engine_script``.
    """
    found = sorted(categories or [name for name in params.categories if _is_trained(params, name)], key=FIRST.__ne__)
    if not found:
        find_model(params, METHODS[0], params.categories[0])  # says what is missing, and how to make it
    work = project_root() / "build"
    engine = engine_script(work / "cache")
    shutil.rmtree(output, ignore_errors=True)
    use_style()
    made = [_write_category(params, name, output, work / "bundles" / params.profile) for name in found]
    for name in PAGE:
        twins = "".join(twin for _, twin in made)
        _write(output / name, _own(name).replace(TWIN, twins))
    colours = (mpl.colormaps[MAP_COLOURS](np.arange(256))[:, :3] * 255).round().astype(int).tolist()
    start = {"categories": found, "methods": METHODS, "colours": colours, "words": json.loads(_own("words.json"))}
    _write(output / "start.js", f"const LIVE = {{ files: {{}}, start: {json.dumps(start)} }};\n")
    _write(output / "engine.js", engine)
    return [line for line, _ in made]


def _own(name: str) -> str:
    return files("anomaly_tools.live").joinpath(name).read_text(encoding="utf-8")


def _is_trained(params: Params, category: str) -> bool:
    try:
        return all(find_model(params, method, category) for method in METHODS)
    except InputError:
        return False


def _write_category(params: Params, category: str, output: Path, bundles: Path) -> tuple[str, str]:
    """A line about it, and its static twin."""
    found = load_category(project_root() / params.data, category)
    methods, kept, seen = {}, [], []
    for name in METHODS:
        model = load_model(find_model(params, name, category))
        size = model.method.image_size
        if model.method.image_resize != "antialiased":
            raise InputError(f"{name}: the page resizes photos with antialiasing, and this model wants another way")
        made = live_model(model, found.folder, model.method.images(found.test).numpy(), bundles)
        _write(output / category / f"{name}.js", f'LIVE.files["{category}/{name}"] = "{packed(made.onnx)}";\n')
        kept.append(f"{name} {'half' if made.half else 'full'}")
        seen.append(Seen(model.method.title, model.thresholds, made.maps, made.scores))
        methods[name] = {
            "title": model.method.title,
            "size": size,
            "thresholds": {level: model.thresholds[level] for level in ("image", "pixel", "pixel_median")},
            "pictures": made.pictures,
            "scores": [float(score) for score in made.scores],
        }
    photos = [
        {"name": f"{sample.defect}/{sample.path.name}", "anomalous": sample.is_anomalous, "data": _address(sample.path)}
        for sample in found.test
    ]
    content = json.dumps({"methods": methods, "photos": photos})
    _write(output / category / "photos.js", f'LIVE.files["{category}/photos"] = {content};\n')
    rows = chosen(found.test, seen)
    save_figure(twin_figure(found.test, seen, rows), output / category / "twin.png")
    twin = twin_section(category, f"{category}/twin.png", found.test, seen, rows)
    size = sum(file.stat().st_size for file in (output / category).iterdir())
    if size > LARGEST_CATEGORY:
        raise InputError(f"{output / category}: {size / 1e6:.0f} MB, more than {LARGEST_CATEGORY / 1e6:.0f} MB")
    return f"{category}: {len(photos)} photos, {size / 1e6:.1f} MB, weights {', '.join(kept)}", twin


def _address(photo: Path) -> str:
    """The photo as a data: address, its bytes as they are."""
    kind = KINDS.get(photo.suffix.lower())
    if kind is None:
        raise InputError(f"{photo}: browsers do not show {photo.suffix}; convert the category's photos to PNG")
    return f"data:image/{kind};base64,{base64.b64encode(photo.read_bytes()).decode()}"


def _write(file: Path, text: str) -> None:
    with replacing(file) as temporary:
        temporary.write_text(text, encoding="utf-8")
