"""The mean image's section of params.yaml."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from anomaly_lib.base.params import MethodParams


class MeanImageParams(MethodParams):
    """Settings of the mean image."""

    presets: ClassVar[dict[str, dict[str, Any]]] = {"default": {}}

    preset: Literal["default"] = "default"
    """Named set of values."""
    smoothing_sigma: Annotated[float, Field(ge=0)] = 4.0
    """Gaussian smoothing of the map in pixels, as for the other methods (ours)."""
