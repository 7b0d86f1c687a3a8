"""PatchCore's section of params.yaml."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from anomaly_lib.base.params import MethodParams


class PatchcoreParams(MethodParams):
    """Settings of PatchCore."""

    presets: ClassVar[dict[str, dict[str, Any]]] = {"default": {}}

    preset: Literal["default"] = "default"
    """Named set of values."""
    backbone: str = "tf_efficientnet_lite0"
    """Feature extractor; the default's weights are installed with the package (paper: wide_resnet50_2)."""
    layers: Annotated[list[str], Field(min_length=1)] | None = None
    """Layers, the finest gives the grid; null takes those at strides 8 and 16 (paper)."""
    weights: str | None = None
    """Weight file of the backbone; null takes the packaged or timm's own."""
    patch: Literal[1, 3, 5, 7] = 3
    """Side of the neighbourhood over which features are averaged (paper: 3)."""
    coreset_share: Annotated[float, Field(gt=0, le=1)] = 0.01
    """Share of all normal patches that is memorised (paper: 0.01, 0.1 and 0.25)."""
    projection: Annotated[int, Field(ge=1)] = 64
    """Dimensions of the random projection in which the coreset is chosen (ours)."""
    neighbours: Annotated[int, Field(ge=2)] = 9
    """Memorised patches that weigh the image score, b in eq. (7) (ours)."""
    smoothing_sigma: Annotated[float, Field(ge=0)] = 4.0
    """Gaussian smoothing of the map in pixels (paper: 4)."""
    memory_gigabytes: Annotated[float, Field(gt=0)] = 4.0
    """Features above this size are cached in a file instead of memory; the results are the same."""
