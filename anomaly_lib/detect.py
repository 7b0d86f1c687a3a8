"""Look at photos with a trained model: a picture of each, and a table of all.

S is the model's image size, H x W the photo's own.
"""

import json
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

from anomaly_lib.data.images import Problem, printable, read_header, read_rgb
from anomaly_lib.data.tensors import load_images
from anomaly_lib.detect_files import Photos, find_photos, output_stems, refuse_overwriting, written_at_once
from anomaly_lib.errors import InputError
from anomaly_lib.evaluation import is_anomalous
from anomaly_lib.evaluation.overlap import label_regions
from anomaly_lib.methods.checkpoints import TrainedModel
from anomaly_lib.progress import progress_bar
from anomaly_lib.regions import load_region
from anomaly_lib.reporting.detection import Detection, detection_figure, telling_extra
from anomaly_lib.reporting.style import MapScale, decide, decision_words, map_scale, save_figure
from anomaly_lib.reporting.tables import write_csv

PHOTOS_AT_ONCE = 8
LARGEST_DRAWN = 800  # pixels of a photo's longer side in a picture


@dataclass(frozen=True)
class Row:
    """One photo in results.json and results.csv. None means that there is none, never 0."""

    file: str
    """Path below the folder that was given."""
    score: float
    threshold: float | None
    decision: str | None
    """'anomalous' at or above the threshold, else 'normal'; None without a threshold."""
    regions: int | None
    """8-connected regions of the map at or above the pixel threshold."""
    largest_region_share: float | None
    """Area of the largest of them as a share of the image, 0 where there is none."""
    picture: str | None
    """File below the output folder; None if not asked for."""
    map: str | None
    """As ``picture``."""
    model_digest: str


@dataclass(frozen=True)
class Results:
    """What was found in all photos."""

    model: dict
    """Which model it was, with its thresholds."""
    rows: tuple[Row, ...]
    skipped: tuple[Problem, ...]
    """What could not be looked at, and why."""

    def to_json(self) -> str:
        """What results.json holds."""
        skipped = [{"file": printable(str(p.path)), "reason": f"{p.message}; {p.remedy}"} for p in self.skipped]
        record = {"model": self.model, "images": [asdict(row) for row in self.rows], "skipped": skipped}
        return json.dumps(record, indent=1)

    def summary(self, output: Path) -> str:
        """One line for people."""
        if len(self.rows) == 1:
            row = self.rows[0]
            found = f"{row.file}: score {decision_words(row.score, row.threshold)}"
        else:
            counts = Counter(row.decision or "without a decision (no threshold)" for row in self.rows)
            found = f"{len(self.rows)} photos: {', '.join(f'{n} {name}' for name, n in sorted(counts.items()))}"
        return f"{found}; see {output}"


def detect(
    model: TrainedModel,
    source: Path,
    output: Path,
    *,
    pictures: bool = True,
    maps: bool = False,
    region: Path | None = None,
    progress: bool = True,
) -> Results:
    """Score a photo, or all of a folder, and write pictures, maps, results.json and results.csv to ``output``.

    ``NAME.png`` is the picture; with ``maps``, ``NAME.npy`` is the anomaly map (H, W) float32 in the model's own units,
    resized bilinearly to the photo's size. ``region`` is a file of ``anomaly_lib.regions``: outside of it maps are 0
    and nothing counts; the thresholds should have been found within the same region. A photo that cannot be read is
    skipped and listed. Raises InputError when none can be read, and when something cannot be written.
    """
    _refuse_relative_scores(model)
    photos = find_photos(source, output)
    inside = load_region(region, model.method.params.image_size) if region else None
    run = _Run(model, photos, output, output_stems(photos), pictures, maps, inside)
    refuse_overwriting([output / name for file in photos.files for name in run.targets(file) if name], photos)
    scale = _shown_scale(model, photos, inside, progress) if pictures else None
    rows, skipped = [], list(photos.problems)
    for files, images in _batches(model, photos.files, skipped, "detect", progress):
        rows += run.look_at(files, images, scale)
    if not rows:
        raise InputError(skipped[0] if len(skipped) == 1 else f"no photo can be read; the first: {skipped[0]}")
    results = Results(_described(model, scale), tuple(rows), tuple(skipped))
    _save_tables(output, results)
    return results


@dataclass(frozen=True)
class _Run:
    """Everything that stays the same from photo to photo."""

    model: TrainedModel
    photos: Photos
    output: Path
    stems: dict[Path, Path]
    pictures: bool
    maps: bool
    region: Tensor | None

    def targets(self, file: Path) -> tuple[str | None, str | None]:
        """Names of the picture and the map of a photo, below the output folder."""
        stem = self.stems[file].as_posix()
        return f"{stem}.png" if self.pictures else None, f"{stem}.npy" if self.maps else None

    def look_at(self, files: list[Path], images: Tensor, scale: MapScale | None) -> list[Row]:
        """Score (N, 3, S, S) images and write what belongs to each."""
        scored = self.model.method.score(images, region=self.region)
        explained = self.model.method.explain(images) if self.pictures else {}
        rows = []
        for index, file in enumerate(files):
            row = self._row(file, float(scored.scores[index]), scored.maps[index].numpy())
            extras = {name: picture[index].cpu().numpy() for name, picture in explained.items()}
            if row.picture:
                self._save_picture(file, row, scored.maps[index].numpy(), extras, scale)
            if row.map:
                self._save_map(file, row, scored.maps[index])
            rows.append(row)
        return rows

    def _row(self, file: Path, score: float, anomaly_map: np.ndarray) -> Row:
        image, pixel = (self.model.thresholds.get(level) for level in ("image", "pixel"))
        regions = largest = None
        if pixel is not None:
            _, areas = label_regions(is_anomalous(anomaly_map, pixel)[None])
            regions, largest = len(areas), float(areas.max(initial=0) / anomaly_map.size)
        found = (score, image, decide(score, image), regions, largest)
        return Row(self.photos.name(file), *found, *self.targets(file), self.model.digest)

    def _save_picture(self, file: Path, row: Row, anomaly_map: np.ndarray, extras: dict, scale: MapScale) -> None:
        photo, extra = _drawn_photo(file), telling_extra(extras)
        caption = _caption(self.model, row)
        detection = Detection(row.file, photo, anomaly_map, scale, row.score, row.threshold, extra, caption)
        with written_at_once(self.output / row.picture) as temporary, warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph")  # of a script that the font lacks, in the file's name
            save_figure(detection_figure(detection), temporary)

    def _save_map(self, file: Path, row: Row, anomaly_map: Tensor) -> None:
        header = read_header(file)
        size = (header.height, header.width)
        resized = interpolate(anomaly_map[None, None], size, mode="bilinear", antialias=True)[0, 0]
        with written_at_once(self.output / row.map) as temporary, temporary.open("wb") as stream:
            np.save(stream, resized.numpy())


def _refuse_relative_scores(model: TrainedModel) -> None:
    if model.method.scores_are_relative:
        raise InputError(
            "this model scores images in relation to each other (score_normalisation: scored_set), so that a photo has "
            "no score of its own; train with score_normalisation: normals"
        )


def _batches(
    model: TrainedModel, files: tuple[Path, ...], skipped: list[Problem], description: str, progress: bool
) -> Iterator[tuple[list[Path], Tensor]]:
    """Up to PHOTOS_AT_ONCE photos as (files, (N, 3, S, S)); those that cannot be read go to ``skipped``."""
    readable, images = [], []
    for file in progress_bar(files, description=description, show=progress and len(files) > 1, unit="photo"):
        try:
            images.append(load_images([file], model.method.params.image_size))
        except InputError as error:
            skipped.append(error.args[0])
            continue
        readable.append(file)
        if len(readable) == PHOTOS_AT_ONCE:
            yield readable, torch.cat(images)
            readable, images = [], []
    if readable:
        yield readable, torch.cat(images)


def _shown_scale(model: TrainedModel, photos: Photos, region: Tensor | None, progress: bool) -> MapScale:
    """The model's scale; without thresholds, the range of the maps of all photos, found in a pass of its own."""
    if model.thresholds.get("pixel") is not None:
        return map_scale(model.thresholds)
    lowest, highest = np.inf, -np.inf
    for _, images in _batches(model, photos.files, [], "range of the maps", progress):
        maps = model.method.score(images, region=region).maps
        lowest, highest = min(lowest, float(maps.min())), max(highest, float(maps.max()))
    return map_scale(model.thresholds, lowest, highest)


def _drawn_photo(file: Path) -> np.ndarray:
    """(H, W, 3) uint8, scaled down to LARGEST_DRAWN pixels."""
    image = Image.fromarray(read_rgb(file))
    image.thumbnail((LARGEST_DRAWN, LARGEST_DRAWN), Image.Resampling.BILINEAR)
    return np.asarray(image)


def _caption(model: TrainedModel, row: Row) -> str:
    title = f"{model.method.title}, {model.category}, seed {model.method.seed}, model {model.digest}"
    if row.regions is None:
        return f"{title} · no pixel threshold, so no contour"
    if row.regions == 0:
        return f"{title} · no pixel at or above the pixel threshold"
    found = f"{row.regions} region{'s' if row.regions > 1 else ''} at or above it"
    return f"{title} · contour: pixel threshold · {found}, the largest {row.largest_region_share:.2%} of the image"


def _described(model: TrainedModel, scale: MapScale | None) -> dict:
    method = model.method
    about = {"method": method.name, "category": model.category, "seed": method.seed, "digest": model.digest}
    shown = {"shown_as_0": scale.zero, "shown_as_1": scale.one, "meaning": scale.label} if scale else None
    return about | {"image_size": method.params.image_size, "thresholds": model.thresholds, "scale": shown}


def _save_tables(output: Path, results: Results) -> None:
    with written_at_once(output / "results.csv") as temporary:
        write_csv([asdict(row) for row in results.rows], temporary, [field.name for field in fields(Row)])
    with written_at_once(output / "results.json") as temporary:
        temporary.write_text(results.to_json() + "\n", encoding="utf-8")
