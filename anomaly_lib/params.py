"""``params.yaml`` as typed, frozen objects: the same in notebook, stage and command.

Unknown keys are refused with the nearest valid name. The section of each method belongs to the method
(``anomaly_lib.methods.NAME.params``).
"""

import hashlib
import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, InstanceOf, ValidationError, field_validator, model_validator

from anomaly_lib.base.errors import InputError, nearest
from anomaly_lib.base.params import Frozen, MethodParams, Name, Place, Share
from anomaly_lib.registry import baselines_last, params_class

Shares = Annotated[list[Annotated[float, Field(ge=0, lt=1)]], Field(min_length=3, max_length=3)]
Pair = Annotated[list[Annotated[float, Field(gt=0, le=1)]], Field(min_length=2, max_length=2)]


class Split(Frozen):
    """How ``train/good`` is divided."""

    held_out: Share = 0.2
    """Share of the normal training images kept out of training, for thresholds."""


Rule = Literal["false_positive_rate", "max", "sigma"]


class Thresholds(Frozen):
    """How thresholds are found: on held-out normals, never on test images."""

    image_rule: Rule = "false_positive_rate"
    """Expected rate (DFR), just above the largest normal score, or mean + sigmas standard deviations."""
    pixel_rule: Rule = "false_positive_rate"
    """The same for pixels; their tails are heavy, so that sigma promises too much."""
    sigmas: Annotated[float, Field(gt=0, le=20)] = 3.0
    """For the rule sigma (MVTec AD 2's usual rule: 3)."""
    cross_fit: Annotated[int, Field(ge=2, le=20)] | None = None
    """Train so many further models, each without one fold, so that all normals give a threshold; null disables it."""
    image_false_positive_rate: Share = 0.05
    """Share of normal images that may be called anomalous."""
    pixel_false_positive_rate: Share = 0.005
    """Share of normal pixels that may be called anomalous (DFR, section 4: 0.5 %)."""


class SynthesisRecipe(Frozen):
    """How a synthetic anomaly is made (DRAEM, section 3.3). The defaults are the authors' code."""

    clean_probability: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Share of the samples that stay normal, with an empty mask."""
    rotation_probability: Annotated[float, Field(ge=0, le=1)] = 0.3
    """Share of the normal images that are turned first; 0 for oriented parts (paper: all)."""
    rotation_degrees: Annotated[float, Field(ge=0, le=180)] = 90.0
    """They are turned by up to this angle, both ways (paper: 45)."""
    shape: Literal["perlin", "rectangles"] = "perlin"
    """What the mask is cut from (paper, table 3: rectangles are worse)."""
    threshold: Annotated[float, Field(gt=-1, lt=1)] | None = 0.5
    """Noise above it is the mask; null draws it anew for each sample (paper)."""
    texture_source: Literal["folder", "colour", "normals"] = "folder"
    """What is blended in: textures from the profile's folder, one random colour, or other normal images."""
    texture_operations: Literal["ten", "seven", "none"] = "ten"
    """Three distinct ones change each texture, of the authors' ten or the paper's seven."""
    opacity: Pair = Field(default=[0.2, 1.0])
    """Range of the texture's opacity inside the mask, beta in eq. (4) (paper: 0.1 to 1; 1 to 1 turns it off)."""
    cutout_probability: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of the anomalous samples that get a plain white or grey rectangle instead."""

    @field_validator("opacity")
    @classmethod
    def _ascending(cls, values: list[float]) -> list[float]:
        if values[0] > values[1]:
            raise ValueError("holds the larger value first")
        return values


class Evaluation(Frozen):
    """How test images are measured."""

    region_of_interest: bool = True
    """Confine maps and scores to CATEGORY/train/region_of_interest.json where a category has that file."""
    resamples: Annotated[int, Field(ge=100)] = 1000
    """Bootstrap resamples for intervals of image metrics; a fifth of them for pixel metrics."""
    confidence: Share = 0.95
    """Nominal coverage of all intervals."""


class Selection(Frozen):
    """Choosing among methods without test images: held-out normals against themselves with synthetic anomalies."""

    copies: Annotated[int, Field(ge=1, le=20)] = 3
    """Synthetic anomalies made of each held-out normal."""
    recipe: SynthesisRecipe = SynthesisRecipe(
        clean_probability=0.0, rotation_probability=0.0, texture_source="normals", opacity=[0.1, 0.6]
    )
    """Fainter than those that DRAEM trains on, of the part's own texture: DRAEM's head start is smaller, not gone."""


class Synthesis(Frozen):
    """What the synthesis demonstration draws."""

    image_size: Annotated[int, Field(ge=32, le=2048)] = 256
    """Side in pixels."""
    examples: Annotated[int, Field(ge=1, le=64)] = 4
    """Rows of the figure."""
    draws: Annotated[int, Field(ge=1)] = 400
    """Masks drawn for the coverage statistics."""


class Gif(Frozen):
    """The animated demo of a trained model."""

    images_per_type: Annotated[int, Field(ge=1, le=20)] = 2
    """Test images of each defect type, and as many normal ones."""
    panel_size: Annotated[int, Field(ge=64, le=512)] = 256
    """Side of a panel in pixels; three panels stand in a row."""
    seconds_per_frame: Annotated[float, Field(gt=0, le=10)] = 1.2
    """How long a picture stays."""
    in_report: bool = True
    """Whether the report shows it, so that git holds it; false for photos whose licence forbids that."""


class Contamination(Frozen):
    """The contamination experiment; with empty lists the pipeline leaves it out."""

    methods: list[str] = Field(default=[])
    """Methods to train on contaminated sets; each must have a section under methods."""
    categories: list[Name] = Field(default=[])
    """Categories to do it on."""
    shares: Shares = Field(default=[0.0, 0.05, 0.1])
    """Anomalous shares of the training images; three, because DVC hands them over one by one."""


class Params(Frozen):
    """One profile: what is run, on which data, with which settings."""

    profile: Name
    """Name of the profile, as it stands in the report."""
    root: str
    """Path from the profile's folder to the project's root; DVC runs stages there."""
    params_file: Place
    """Path of this file from the project's root."""
    reports: Place
    """Folder for everything the pipeline writes, from the project's root."""
    data: Place
    """Folder whose sub-folders are categories in MVTec shape."""
    published_as: str | None = None
    """Name of this data set among the published results (MVTec AD, ...); null for data that nobody published on."""
    textures: Place
    """Folder of texture images, one sub-folder a class (the shape of DTD)."""
    categories: Annotated[list[Name], Field(min_length=1)]
    """Categories to run."""
    seeds: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)]
    """Random seeds; each gives one training per method and category."""
    threads: Annotated[int, Field(ge=1, le=64)] = 1
    """CPU threads of one stage. Another number changes the last bits of results."""
    numerics: Literal["portable", "native"] = "portable"
    """How stages compute: the same bits on every x86-64 processor with AVX2, or faster, with bits of this one's own."""
    split: Split = Split()
    thresholds: Thresholds = Thresholds()
    evaluation: Evaluation = Evaluation()
    selection: Selection = Selection()
    synthesis: Synthesis = Synthesis()
    gif: Gif = Gif()
    contamination: Contamination = Contamination()
    methods: Annotated[dict[str, InstanceOf[MethodParams]], Field(min_length=1)]
    """One section per method, of the method's own type."""

    @field_validator("categories", "seeds")
    @classmethod
    def _distinct(cls, values: list) -> list:
        if len(set(values)) != len(values):
            raise ValueError("holds a value twice")
        return values

    @model_validator(mode="after")
    def _known_methods(self) -> "Params":
        for name in self.contamination.methods:
            if name not in self.methods:
                raise ValueError(f"contamination.methods: '{name}' has no section under methods")
        return self


def load_params(path: str | Path = "params.yaml") -> Params:
    """Read and check a params file.

    A relative path counts from the project's root, so that notebooks work from any folder.
    Raises InputError, naming file, key and the nearest valid name, for anything that is not as it should be.
    """
    file = project_root() / path
    try:
        if file.exists() and not file.is_file():
            raise InputError("no regular file; restore it with git checkout")
        return parse_params(yaml.load(file.read_text(encoding="utf-8"), _DistinctKeys))
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except FileNotFoundError:
        raise InputError(f"{path}: no such params file; the profiles lie under profiles/") from None
    except (yaml.YAMLError, RecursionError, TypeError, ValueError, OSError) as error:
        raise InputError(f"{path}: not valid YAML in UTF-8: {' '.join(str(error).split())}") from None


class _DistinctKeys(yaml.SafeLoader):
    """PyYAML takes the last of two equal keys without a word, and 1e3 and 0o17, numbers for DVC, for texts."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for position, key in enumerate(keys):
            if key in keys[:position]:
                line = node.value[position][0].start_mark.line + 1
                raise InputError(f"line {line}: key '{key}' for the second time; keep one of the two")
        return super().construct_mapping(node, deep)


_DistinctKeys.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)
_DistinctKeys.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"0o[0-7]+$"), ["0"])


def load_profile(name: str | None = None) -> Params:
    """``load_params`` of a folder under profiles/, or of the root profile."""
    return load_params(f"profiles/{name}/params.yaml" if name else "params.yaml")


def parse_params(raw: Any) -> Params:
    """Check what a params file holds. Raises InputError as ``load_params`` does, without the file's name."""
    if not isinstance(raw, dict):
        raise InputError("a params file is a mapping of keys to values")
    methods = raw.get("methods")
    if not isinstance(methods, dict):
        raise InputError("methods: a mapping of method names to their settings is needed")
    typed = {name: _method_params(name, methods[name] or {}, raw.get("textures")) for name in baselines_last(methods)}
    return validated(Params, raw | {"methods": typed}, [])


def _method_params(name: str, section: Any, textures: Any) -> MethodParams:
    """A method's section; one that trains with textures takes the profile's folder, which is what DVC watches."""
    model, keys = params_class(name), ["methods", name]
    if not isinstance(section, dict):
        raise InputError(f"methods.{name}: a mapping of settings is needed, not {section!r}")
    if "textures" not in model.model_fields:
        return validated(model, section, keys)
    if "textures" in section:
        raise InputError(f"methods.{name}.textures: set the profile's own 'textures' instead; all stages use that one")
    return validated(model, section | {"textures": textures}, keys)


def params_hash(*sections: Frozen) -> str:
    """First 16 hex digits of the SHA-256 of the sections' canonical JSON."""
    text = json.dumps([section.model_dump(mode="json") for section in sections], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def project_root(start: Path | None = None) -> Path:
    """The nearest folder, upward from ``start`` (default: the working directory), that holds ``data.dvc``.

    Outside of a project, and without ``start``, it is the one that this package lies in, so that a lesson's copy runs
    in any folder. Raises InputError when there is none.
    """
    own = () if start else Path(__file__).resolve().parents
    start = (start or Path.cwd()).resolve()
    for folder in (start, *start.parents, *own):
        if (folder / "data.dvc").is_file():
            return folder
    raise InputError(f"{start}: not inside the project; change into the folder that holds data.dvc")


def validated(model: type[Frozen], section: dict, where: list[str]) -> Any:
    """The section as ``model``; the first thing that is wrong becomes one line."""
    try:
        return model.model_validate(section)
    except ValidationError as error:
        first = error.errors()[0]
    keys = [str(part) for part in first["loc"]]
    name = ".".join(where + keys)
    if first["type"] == "extra_forbidden":
        raise InputError(f"unknown key '{name}': {nearest(keys[-1], _keys_of(model, keys[:-1]))}")
    message = first["msg"].removeprefix("Value error, ")
    raise InputError(f"{name}: {message[0].lower()}{message[1:]}")


def _keys_of(model: Any, path: list[str]) -> list[str]:
    """Keys that the section at ``path`` inside ``model`` may have."""
    for key in path:
        model = model.model_fields[key].annotation
    return list(model.model_fields)
