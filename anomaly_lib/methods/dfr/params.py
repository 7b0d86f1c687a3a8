"""DFR's section of params.yaml, and its presets."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from anomaly_lib.base.params import Share, TrainedParams

VGG19_RELUS_12 = [f"relu{b}_{i}" for b, n in ((1, 2), (2, 2), (3, 4), (4, 4)) for i in range(1, n + 1)]
VGG19_RELUS_16 = [*VGG19_RELUS_12, *(f"relu5_{i}" for i in range(1, 5))]

# What the authors' code does; docs/fidelity/dfr.md has a row for each difference to the default.
OFFICIAL = {
    "image_resize": "nearest",
    "backbone": "vgg19",
    "layers": VGG19_RELUS_12,
    "reflect_padding": True,
    "feature_space": "raw",
    "steps": None,
    "epochs": 150,  # authors' default; a comment in their code asks for 700 for the paper's numbers
    "batch": 4 * 64 * 64,  # the locations of four images
    "learning_rate": 1e-4,
    "schedule": "constant",
    "location_prior": None,
    "smoothing_sigma": 0.0,
}


class DfrParams(TrainedParams):
    """Settings of DFR. ``preset`` gives the values of all keys that are not written out."""

    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "default": {},
        "official_12": OFFICIAL,
        "official_16": OFFICIAL | {"layers": VGG19_RELUS_16},
    }

    preset: Literal["default", "official_12", "official_16"] = "default"
    """Named set of values: ours, or the authors' with 12 or 16 layers."""
    backbone: str = "tf_efficientnet_lite0"
    """Feature extractor; the default's weights are installed with the package (paper: vgg19)."""
    layers: Annotated[list[str], Field(min_length=1, default_factory=lambda: [f"stage{i}" for i in range(5)])]
    """Layers whose outputs describe a region, in order of depth."""
    weights: str | None = None
    """Weight file of the backbone; null takes the packaged or timm's own."""
    reflect_padding: bool = False
    """Pad the backbone's convolutions by reflection (authors' code, with VGG19)."""
    feature_size: Annotated[int, Field(ge=4)] = 64
    """Side of the feature grid; divides image_size (paper: 64 for 256)."""
    resize: Literal["bilinear", "nearest"] = "bilinear"
    """How layers reach the image's size before averaging (authors' code: bilinear; paper: nearest)."""
    feature_space: Literal["raw", "standardised", "whitened"] = "whitened"
    """What the autoencoder reconstructs (authors' code: raw)."""
    latent_variance: Share = 0.9
    """The latent size is the number of principal components that explain this share (paper: 0.9)."""
    latent: Annotated[int, Field(ge=1)] | None = None
    """Latent size; null takes it from latent_variance."""
    batch_norm: bool = True
    """Batch normalisation behind hidden layers (authors' code: on)."""
    steps: Annotated[int, Field(ge=1)] | None = 1000
    """Optimisation steps; null where epochs, passes over all locations of the fit images, is given (authors: 150)."""
    batch: Annotated[int, Field(ge=2)] = 512
    """Locations per step, drawn at random from all images (authors' code: all of four images)."""
    learning_rate: Annotated[float, Field(gt=0)] = 2e-3
    """Largest rate of Adam (authors' code: 1e-4)."""
    schedule: Literal["one_cycle", "constant"] = "one_cycle"
    """Learning-rate schedule (authors' code: constant)."""
    location_prior: Annotated[float, Field(ge=0)] | None = 20.0
    """Divide the map by the normal error of each place, drawn to the mean as if by so many images; null disables it."""
    smoothing_sigma: Annotated[float, Field(ge=0)] = 4.0
    """Gaussian smoothing of the map in pixels, 0 for none (authors' code: none)."""
    memory_gigabytes: Annotated[float, Field(gt=0)] = 4.0
    """Features above this size are cached in a file instead of memory; the results are the same."""
