"""DRAEM's section of params.yaml, and its presets."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator

from anomaly_lib.base.params import Share, TrainedParams
from anomaly_lib.params import SynthesisRecipe

SIDE_FACTOR = 32  # the discriminative network halves the side five times

# What the authors' code does; docs/fidelity/draem.md has a row for each difference to the default.
OFFICIAL = {
    "image_size": 256,
    "image_resize": "bilinear",
    "reconstructive_width": 128,
    "discriminative_width": 64,
    "synthesis": {},  # the recipe's own defaults are the authors'
    "steps": None,
    "epochs": 700,  # their command; their published weights are named after 800
    "batch": 8,
    "optimizer": "adam",
    "learning_rate": 1e-4,
    "schedule": "multistep",
    "milestones": [0.8, 0.9],
    "decay": 0.2,
    "ssim_range": "guessed",
    "score_window": 21,
    "channel_order": "bgr",
    "precision": "float32",
}

PAPER = OFFICIAL | {
    "synthesis": {
        "rotation_probability": 1.0,
        "rotation_degrees": 45.0,
        "threshold": None,
        "texture_operations": "seven",
        "opacity": [0.1, 1.0],
    },
    "milestones": [4 / 7, 6 / 7],  # after epochs 400 and 600 of 700
    "decay": 0.1,
    "ssim_range": "fixed",
    "channel_order": "rgb",
}

DEFAULT = {"synthesis": {"rotation_probability": 0.0, "clean_probability": 0.2}}


class DraemParams(TrainedParams):
    """Settings of DRAEM. ``preset`` gives the values of all keys that are not written out."""

    presets: ClassVar[dict[str, dict[str, Any]]] = {"default": DEFAULT, "official": OFFICIAL, "paper": PAPER}

    preset: Literal["default", "official", "paper"] = "default"
    """Named set of values: ours for a CPU, the authors' code, or their paper."""
    image_size: Annotated[int, Field(ge=SIDE_FACTOR, le=2048)] = 128
    """Side in pixels, a multiple of 32 (paper: 256)."""
    reconstructive_width: Annotated[int, Field(ge=1)] = 16
    """Base width of the reconstructive network (authors' code: 128)."""
    discriminative_width: Annotated[int, Field(ge=1)] = 16
    """Base width of the discriminative network (authors' code: 64)."""
    textures: str = "data/textures"
    """Folder of texture images; the profile's own ``textures`` is handed down."""
    synthesis: SynthesisRecipe = SynthesisRecipe()
    """How synthetic anomalies are made; keys that are not written out come from the preset."""
    moved_share: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of the training images, with what is blended into them, that are moved as the next two say."""
    moved_degrees: Annotated[float, Field(ge=0, le=180)] = 5.0
    """They are turned by up to this angle, both ways; beyond the border its outermost pixels are repeated."""
    moved_shift: Annotated[float, Field(ge=0, le=0.5)] = 0.04
    """They are shifted by up to this share of the side along each axis, both ways."""
    steps: Annotated[int, Field(ge=1)] | None = 240
    """Optimisation steps; null where epochs is given; one draws as many images as there are (paper: 700)."""
    batch: Annotated[int, Field(ge=2)] = 8
    """Images per step (authors' code: 8)."""
    optimizer: Literal["adam", "muon"] = "adam"
    """Adam (authors' code), or Muon for convolution kernels and Adam for all else, which learns more per step."""
    learning_rate: Annotated[float, Field(gt=0)] = 2e-3
    """Largest learning rate (authors' code: 1e-4)."""
    schedule: Literal["one_cycle", "multistep", "constant"] = "one_cycle"
    """Learning-rate schedule (authors' code: multistep)."""
    warm_up: Share = 0.3
    """Share of the steps in which one_cycle rises."""
    milestones: Annotated[list[Share], Field(default_factory=lambda: [0.8, 0.9])]
    """Shares of the steps after which multistep decays (paper: 4/7 and 6/7; authors' code: 0.8 and 0.9)."""
    decay: Share = 0.2
    """Factor at each milestone (paper: 0.1; authors' code: 0.2)."""
    ssim_weight: Annotated[float, Field(ge=0)] = 1.0
    """Weight of 1 - SSIM beside the squared error, the paper's lambda (authors' code: 1; paper: not stated)."""
    ssim_range: Literal["fixed", "guessed"] = "fixed"
    """Dynamic range in SSIM: always 1, or guessed from each batch of reconstructions (authors' code)."""
    image_score: Literal["smoothed_max", "max"] = "smoothed_max"
    """Largest value of the map, after a mean filter (paper and authors' code) or as it is."""
    score_window: Annotated[int, Field(ge=1)] = 5
    """Side of that mean filter in pixels, odd (paper: 21 for images of 256)."""
    channel_order: Literal["rgb", "bgr"] = "rgb"
    """Order in which the networks see the channels (authors' code: bgr)."""
    precision: Literal["auto", "float32", "bf16"] = "auto"
    """Format of the convolutions while training; auto: float32 in portable numerics, in native ones bf16 where the
    processor has it. Scores are in float32."""
    channels_last: bool = True
    """Memory layout in which convolutions run faster; the results differ in the last bits only."""
    workers: Annotated[int, Field(ge=0, le=64)] = 0
    """Processes that prepare batches; 0 makes them in place, on the GPU where there is one. Batches are the same."""

    @field_validator("image_size")
    @classmethod
    def _divisible(cls, side: int) -> int:
        if side % SIDE_FACTOR:
            nearest = max(1, round(side / SIDE_FACTOR)) * SIDE_FACTOR
            raise ValueError(f"{side} is not a multiple of {SIDE_FACTOR}, which DRAEM's networks need; try {nearest}")
        return side

    @field_validator("score_window")
    @classmethod
    def _odd(cls, side: int) -> int:
        if side % 2 == 0:
            raise ValueError(f"{side} is even; a filter that keeps the map in place is odd")
        return side
