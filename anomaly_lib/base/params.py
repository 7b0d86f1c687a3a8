"""What all sections of ``params.yaml`` share: immutable, strict, and for a method filled from its preset."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from anomaly_lib.base.names import why_name_is_refused

Share = Annotated[float, Field(gt=0, lt=1)]


def _harmless_name(name: str) -> str:
    if reason := why_name_is_refused(name):
        raise ValueError(f"'{name}' {reason}; a name becomes a folder, a word of a command line and a cell of a table")
    return name


def _harmless_path(path: str) -> str:
    if not path.isprintable() or set(path) & set("'\"$`\\") or path.startswith("-"):
        raise ValueError(f"{path!r} cannot stand in a command line; name a folder without quotes, $ and backslash")
    return path


Resize = Literal["antialiased", "bilinear", "nearest"]
Name = Annotated[str, AfterValidator(_harmless_name)]
Place = Annotated[str, AfterValidator(_harmless_path)]


class Frozen(BaseModel):
    """Base of every section: immutable, no unknown keys, no silent conversion of types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class MethodParams(Frozen):
    """What every method's section has. A method gives ``preset`` its names and a default."""

    presets: ClassVar[dict[str, dict[str, Any]]]
    """Values by name of the preset; they fill the keys that are not written out, inside sub-sections too."""

    preset: str
    """Named set of values."""
    image_size: Annotated[int, Field(ge=32, le=2048)] = 256
    """Side in pixels to which images are resized, aspect not preserved."""
    image_resize: Resize = "antialiased"
    """How: averaging all pixels that a new one covers, from the four nearest (OpenCV's bilinear), or from one."""

    @model_validator(mode="before")
    @classmethod
    def _fill_from_preset(cls, values: dict[str, Any]) -> dict[str, Any]:
        name = values.get("preset", cls.model_fields["preset"].default)
        return _filled(values, cls.presets.get(name, {}) if isinstance(name, str) else {})


class TrainedParams(MethodParams):
    """What the section of a method has that is trained in steps; it gives ``steps`` a default."""

    steps: Annotated[int, Field(ge=1)] | None
    """Optimisation steps; null where epochs is given."""
    epochs: Annotated[float, Field(gt=0)] | None = None
    """Passes over the training data, instead of steps."""

    def steps_on(self, count: int, batch: int) -> int:
        """Optimisation steps with ``count`` training examples in batches of ``batch``."""
        return self.steps or max(1, round((self.epochs or 0) * count / batch))

    @model_validator(mode="after")
    def _one_length(self) -> "TrainedParams":
        if (self.steps is None) == (self.epochs is None):
            raise ValueError("give either steps or epochs, and null for the other")
        return self


def _filled(values: dict[str, Any], preset: dict[str, Any]) -> dict[str, Any]:
    """The values, with the preset's where there are none."""
    sections = {
        key: _filled(values[key], section)
        for key, section in preset.items()
        if isinstance(section, dict) and isinstance(values.get(key), dict)
    }
    return preset | values | sections
