"""Look at photos with a trained model: a picture of each, and a table of all.

S is the model's image size, H x W the photo's own; a map is (S, S) of a whole photo, (H, W) of one in tiles.
"""

import json
import warnings
from collections import Counter
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
from PIL import Image

from anomaly_lib.base.errors import InputError
from anomaly_lib.data.images import Problem, printable, read_header, read_rgb
from anomaly_lib.data.photos import LeftOut, left_out_line
from anomaly_lib.detect.boxes import Box, boxes_of
from anomaly_lib.detect.files import Photos, find_photos, output_stems, refuse_overwriting, written_at_once
from anomaly_lib.detect.looks import Look, Looker, Tiled, Whole
from anomaly_lib.evaluation.thresholds import conformal_rank, decide, decision_words, is_unsure
from anomaly_lib.figures.style import MapScale, map_scale
from anomaly_lib.methods.detector import Model
from anomaly_lib.reporting.tables import write_csv
from anomaly_lib.tiling.grid import Tiling
from anomaly_lib.tiling.scoring import resized

SHOWN = 3  # names of photos that were not looked at, in a line for people
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
    unsure: bool | None
    """Whether the score is near the threshold (``is_unsure``), so that a person should look."""
    rank: int | None
    """Among the held-out normal scores and this one, from the highest: 1 if none of them is as high."""
    p_value: float | None
    """rank / (held-out normals + 1): how often a normal photo is at least as anomalous."""
    regions: int | None
    """8-connected regions of the map at or above the pixel threshold."""
    largest_region_share: float | None
    """Area of the largest of them as a share of the image, 0 where there is none."""
    picture: str | None
    """File below the output folder; None if not asked for."""
    map: str | None
    """As ``picture``."""
    model_digest: str
    tiles: int | None
    """In how many tiles it was looked at; None for a photo as a whole."""
    boxes: tuple[Box, ...] | None
    """One per region, the highest peak first; in CSV a table of its own, regions.csv."""


@dataclass(frozen=True)
class Results:
    """What was found in all photos."""

    model: dict
    """Which model it was, with its thresholds."""
    rows: tuple[Row, ...]
    skipped: tuple[Problem, ...]
    """Photos that could not be looked at, and why."""
    left_out: LeftOut
    """Files that are hidden or not named as photos: reason -> paths below the folder that was given."""
    tiling: Tiling | None = None
    """Into which tiles photos were cut."""

    def to_json(self) -> str:
        """What results.json holds."""
        skipped = [{"file": printable(str(p.path)), "reason": f"{p.message}; {p.remedy}"} for p in self.skipped]
        tiling = asdict(self.tiling) if self.tiling else None
        images = [asdict(row) for row in self.rows]
        content = {"model": self.model, "tiling": tiling, "images": images, "skipped": skipped}
        return json.dumps(content | {"left_out": self.left_out}, indent=1)

    def summary(self, output: Path) -> str:
        """One line for people: what was found, and what was not looked at."""
        if len(self.rows) == 1:
            row = self.rows[0]
            found = f"{row.file}: score {decision_words(row.score, row.threshold)}"
        else:
            counts = Counter(row.decision or "without a decision (no threshold)" for row in self.rows)
            found = f"{len(self.rows)} photos: {', '.join(f'{n} {name}' for name, n in sorted(counts.items()))}"
            if unsure := sum(bool(row.unsure) for row in self.rows):
                found += f" ({unsure} near the threshold: look at them)"
        if self.skipped:
            names = ", ".join(problem.path.name for problem in self.skipped[:SHOWN])
            more = ", …" if len(self.skipped) > SHOWN else ""
            found += printable(f"; {len(self.skipped)} not looked at ({names}{more})")
        if self.left_out:
            found += f"; {left_out_line(self.left_out)}"
        return f"{found}; see {output}"


def detect(
    model: Model,
    source: Path,
    output: Path,
    *,
    pictures: bool = True,
    maps: bool = False,
    region: Path | None = None,
    tiling: Tiling | None = None,
    unsure: float = 0.1,
    progress: bool = True,
) -> Results:
    """Score a photo, or all of a folder; write pictures, maps, results.json, results.csv, regions.csv to ``output``.

    ``NAME.png`` is the picture; with ``maps``, ``NAME.npy`` is the anomaly map (H, W) float32 in the model's own units,
    resized bilinearly to the photo's size. ``region`` is a file of ``data.regions``: outside of it maps are 0
    and nothing counts; the thresholds should have been found within the same region. With ``tiling`` a photo larger
    than a tile is looked at in tiles, whose maps are blended; the model should have been trained on such tiles.
    ``unsure`` is the band of ``is_unsure``. A photo that cannot be read is skipped and listed. Raises InputError when
    none can be read, and for an unwritable output.
    """
    if model.method.scores_are_relative:
        raise InputError(
            "this model scores images in relation to each other (score_normalisation: scored_set), so that a photo has "
            "no score of its own; train with score_normalisation: normals"
        )
    photos = find_photos(source, output)
    looker = Tiled(model.method, region, tiling) if tiling else Whole(model.method, region)
    run = _Run(model, photos, output, output_stems(photos), pictures, maps, unsure)
    refuse_overwriting([output / name for file in photos.files for name in run.targets(file) if name], photos)
    scale = _shown_scale(model, photos, looker, progress) if pictures else None
    skipped = list(photos.problems)
    looks = looker.looks(photos.files, skipped, "detect", pictures, progress)
    rows = tuple(run.record(look, scale) for look in looks)
    if not rows:
        raise InputError(skipped[0] if len(skipped) == 1 else f"no photo can be read; the first: {skipped[0]}")
    method, shown = model.method, scale and {"shown_as_0": scale.zero, "shown_as_1": scale.one, "meaning": scale.label}
    about = {"method": method.name, "category": model.category, "seed": method.seed, "digest": model.digest}
    about |= {"image_size": method.image_size, "thresholds": model.thresholds, "scale": shown}
    results = Results(about, rows, tuple(skipped), photos.left_out, tiling)
    _save_tables(output, results)
    return results


@dataclass(frozen=True)
class _Run:
    """Everything that stays the same from photo to photo."""

    model: Model
    photos: Photos
    output: Path
    stems: dict[Path, Path]
    pictures: bool
    maps: bool
    unsure: float

    def targets(self, file: Path) -> tuple[str | None, str | None]:
        """Names of the picture and the map of a photo, below the output folder."""
        stem = self.stems[file].as_posix()
        return f"{stem}.png" if self.pictures else None, f"{stem}.npy" if self.maps else None

    def record(self, look: Look, scale: MapScale | None) -> Row:
        """Write what belongs to a photo, and make its row. Raises InputError for a model that gives no numbers."""
        if not (np.isfinite(look.score) and np.isfinite(look.map).all()):
            remedy = "train or export it again"
            raise InputError(Problem(look.file, "the model gives values that are not finite, so it is damaged", remedy))
        row = self._row(look)
        if row.picture and scale:
            self._save_picture(look, row, self.output / row.picture, scale)
        if row.map:
            header = read_header(look.file)
            with written_at_once(self.output / row.map) as temporary, temporary.open("wb") as stream:
                np.save(stream, resized(look.map, (header.height, header.width)))
        return row

    def _row(self, look: Look) -> Row:
        image, pixel = (self.model.thresholds.get(level) for level in ("image", "pixel"))
        boxes = regions = largest = rank = p_value = unsure = None
        if pixel is not None:
            header = read_header(look.file)
            boxes = boxes_of(look.map, pixel, (header.height, header.width))
            regions, largest = len(boxes), max((box.area_share for box in boxes), default=0.0)
        if normals := self.model.thresholds.get("held_out_scores"):
            rank = conformal_rank(look.score, normals)
            p_value = rank / (len(normals) + 1)
            unsure = None if image is None else is_unsure(look.score, image, normals, self.unsure)
        found = (look.score, image, decide(look.score, image), unsure, rank, p_value, regions, largest)
        places = self.targets(look.file)
        return Row(self.photos.name(look.file), *found, *places, self.model.digest, look.tiles, boxes)

    def _save_picture(self, look: Look, row: Row, file: Path, scale: MapScale) -> None:
        from anomaly_lib.figures.detection import Detection, drawn  # matplotlib, which tables do not need

        photo, caption = Image.fromarray(read_rgb(look.file)), _caption(self.model, row)
        photo.thumbnail((LARGEST_DRAWN, LARGEST_DRAWN), Image.Resampling.BILINEAR)
        shrunk, shown = photo.height / read_header(look.file).height, _drawn_map(look.map)
        boxes = [tuple(shrunk * side for side in (b.left, b.top, b.width, b.height)) for b in row.boxes or ()]
        numbers = (scale, row.score, row.threshold, look.extra)
        detection = Detection(row.file, np.asarray(photo), shown, *numbers, caption, boxes)
        with written_at_once(file) as temporary, warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph")  # of a script that the font lacks, in the file's name
            Image.fromarray(drawn(detection)).save(temporary, compress_level=1)  # a quarter larger, quickly packed


def _shown_scale(model: Model, photos: Photos, looker: Looker, progress: bool) -> MapScale:
    """The model's scale; without thresholds, the range of the maps of all photos, found in a pass of its own."""
    if model.thresholds.get("pixel") is not None:
        return map_scale(model.thresholds)
    lowest, highest = np.inf, -np.inf
    for look in looker.looks(photos.files, [], "range of the maps", False, progress):
        lowest, highest = min(lowest, float(look.map.min())), max(highest, float(look.map.max()))
    return map_scale(model.thresholds, lowest, highest)


def _drawn_map(values: np.ndarray) -> np.ndarray:
    """A map, scaled down as the photo is; each pixel is the largest of those it stands for, so that none is lost."""
    share = LARGEST_DRAWN / max(values.shape)
    if share >= 1:
        return values
    for axis, length in enumerate(values.shape):
        # cell i holds pixels from floor(i L / n) on, cells overlap where L / n is no whole number
        cells = max(1, round(length * share))
        pixels = [slice(i * length // cells, -(-(i + 1) * length // cells)) for i in range(cells)]
        values = np.stack([np.take(values, range(length)[cell], axis).max(axis) for cell in pixels], axis)
    return values


def _caption(model: Model, row: Row) -> str:
    title = f"{model.method.title}, {model.category}, seed {model.method.seed}, model {model.digest}"
    if row.tiles is not None:
        title += f" · {row.tiles} tile{'s' if row.tiles > 1 else ''}"
    if row.regions is None:
        return f"{title} · no pixel threshold, so no contour"
    if row.regions == 0:
        return f"{title} · no pixel at or above the pixel threshold"
    found = f"{row.regions} region{'s' if row.regions > 1 else ''} at or above it"
    return f"{title} · contour: pixel threshold · {found}, the largest {row.largest_region_share:.2%} of the image"


def _save_tables(output: Path, results: Results) -> None:
    boxes = [{"file": row.file, **asdict(box)} for row in results.rows for box in row.boxes or ()]
    rows = [asdict(row) for row in results.rows]
    columns = [field.name for field in fields(Row) if field.name != "boxes"]
    with written_at_once(output / "results.csv") as temporary:
        write_csv(rows, temporary, columns)
    with written_at_once(output / "regions.csv") as temporary:
        write_csv(boxes, temporary, ["file", *(field.name for field in fields(Box))])
    with written_at_once(output / "results.json") as temporary:
        temporary.write_text(results.to_json() + "\n", encoding="utf-8")
