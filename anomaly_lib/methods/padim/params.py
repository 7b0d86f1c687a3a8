"""PaDiM's section of params.yaml."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from anomaly_lib.base.params import MethodParams


class PadimParams(MethodParams):
    """Settings of PaDiM."""

    presets: ClassVar[dict[str, dict[str, Any]]] = {"default": {}}

    preset: Literal["default"] = "default"
    """Named set of values."""
    backbone: str = "tf_efficientnet_lite0"
    """Feature extractor; the default's weights are installed with the package (paper: wide_resnet50_2 and others)."""
    layers: Annotated[list[str], Field(min_length=1)] | None = None
    """Layers, the finest gives the grid; null takes those at strides 4, 8 and 16 (paper)."""
    weights: str | None = None
    """Weight file of the backbone; null takes the packaged or timm's own."""
    channels: Annotated[int, Field(ge=1)] | None = 50
    """How many channels are kept, drawn at random; null keeps all (paper: 550 of 1792, here as large a share)."""
    shrinkage: Annotated[float, Field(gt=0)] = 0.01
    """Added to the diagonal of each covariance (paper: 0.01)."""
    smoothing_sigma: Annotated[float, Field(ge=0)] = 4.0
    """Gaussian smoothing of the map in pixels (paper: 4)."""
