"""DMAD's section of params.yaml, and its presets."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from anomaly_lib.base.params import TrainedParams

Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]

# What the authors' code does; docs/fidelity/dmad.md has a row for each difference to the default.
OFFICIAL = {
    "backbone": "wide_resnet50_2",
    "feature_space": "raw",
    "undeformed_share": 0.0,
    "coordinates": "block",
    "offset_width": 64,
    "offset_reduction": 1,
    "identity_start": False,
    "codes": None,
    "code_start": "uniform",
    "squeeze": 64,
    "embedding_blocks": 3,
    "decoder_widths": None,
    "decoder_blocks": [3, 4, 6],
    "decoder_heads": False,
    "cosine": "image",
    "detach_targets": False,
    "length_epsilon": 0.0,
    "steps": None,
    "epochs": 400.0,  # a comment in their code says that 200 may do
    "batch": 8,
    "learning_rate": 5e-3,
    "level_balance": False,
    "level_weights": [1.0, 1.0, 1.0],
    "location_prior": None,
    "score_normalisation": "scored_set",
}


class DmadParams(TrainedParams):
    """Settings of DMAD. ``preset`` gives the values of all keys that are not written out."""

    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "default": {},
        "official_image": OFFICIAL | {"codes": 200},
        "official_pixel": OFFICIAL,
    }

    preset: Literal["default", "official_image", "official_pixel"] = "default"
    """Named set of values: ours, or the authors' two models, with and without vector quantisation."""
    backbone: str = "tf_efficientnet_lite0"
    """The frozen teacher; the default's weights are installed with the package (paper: wide_resnet50_2)."""
    layers: Annotated[list[str], Field(min_length=3, max_length=3)] | None = None
    """Three layers, each half as wide as the one before; null takes those at strides 4, 8 and 16 (authors)."""
    weights: str | None = None
    """Weight file of the backbone; null takes the packaged or timm's own."""
    feature_space: Literal["raw", "standardised"] = "raw"
    """What the decoder reproduces: features as they are (authors), or each channel standardised over normals."""
    deformation: bool = True
    """Deform the image; off leaves reverse distillation, with the teacher's features computed once."""
    undeformed_share: Annotated[float, Field(ge=0, le=1)] = 0.8
    """Share of the steps, the first ones, that leave images undeformed and so take cached features (authors: 0)."""
    coordinates: Literal["plain", "block"] = "plain"
    """What the offset network knows of a place: x and y, or the authors' four block channels."""
    offset_width: Count = 16
    """Channels inside the offset network (authors: 64)."""
    offset_reduction: Count = 2
    """The offset network sees the image so many times smaller (authors: 1)."""
    identity_start: bool = True
    """Begin with no deformation: the last layer of each head starts at zero (authors: random)."""
    codes: Count | None = 50
    """Codes of the vector quantiser; null disables it (authors: 200 for image scores, none for maps)."""
    code_start: Literal["data", "uniform"] = "data"
    """Where codes begin: at features of normal images, or uniform in +-1/codes (authors)."""
    revive_after: Count | None = None
    """Steps without use after which a code moves to a feature of the batch; null disables it (authors)."""
    squeeze: Count = 32
    """Channels a level keeps beside the quantised features (authors: 64); not used without quantisation."""
    embedding_blocks: Count = 1
    """Residual blocks of the one-class embedding (authors: 3)."""
    decoder_widths: Annotated[list[Count], Field(min_length=3, max_length=3)] | None = None
    """Channels of the decoder's stages, finest first; null takes the teacher's own, at least 32."""
    decoder_blocks: Annotated[list[Count], Field(min_length=3, max_length=3, default_factory=lambda: [1, 1, 1])]
    """Residual blocks of the decoder's stages, coarsest first (authors: 3, 4, 6)."""
    decoder_heads: bool = True
    """A 1x1 convolution after each stage; needed where the teacher's features can be negative (authors: none)."""
    cosine: Literal["location", "image"] = "image"
    """Cosine of the reconstruction loss: at each location, or of an image's whole flattened level (authors)."""
    detach_targets: bool = True
    """Keep the offset network from making the decoder's targets easy (authors: not detached)."""
    strength: Literal["forward", "both"] = "forward"
    """Fields whose length is penalised (authors' code: forward; paper: both)."""
    offset_weight: NotNegative = 1.0
    """Weight of the fields' length (authors: 1)."""
    smoothness_weight: NotNegative = 1.0
    """Weight of the fields' Laplacian (authors: 1)."""
    cycle_weight: NotNegative = 1.0
    """Weight of the squared difference of the image and itself, warped there and back (authors: 1)."""
    quantisation_weight: NotNegative = 1.0
    """Weight of the quantiser's loss (authors: 1)."""
    commitment: NotNegative = 0.25
    """Weight of the commitment inside the quantiser's loss (authors: 0.25)."""
    length_epsilon: NotNegative = 1e-12
    """Added under the root of a field's length; at 0 (authors) a zero field has no gradient."""
    steps: Count | None = 500
    """Optimisation steps; null where epochs, passes over the fit images, is given (authors: 400)."""
    batch: Annotated[int, Field(ge=2)] = 4
    """Images per step (authors: 8)."""
    learning_rate: Positive = 5e-3
    """First rate of AdamW, which falls to 0 along a cosine (authors: 5e-3)."""
    weight_decay: NotNegative = 0.01
    """Of AdamW (authors: 0.01)."""
    level_balance: bool = True
    """Divide each level's map by its mean over normals before the sum (authors: plain sum)."""
    level_weights: Annotated[
        list[NotNegative], Field(min_length=3, max_length=3, default_factory=lambda: [1.0, 2.0, 4.0])
    ]
    """Weights of the levels' maps in the sum, finest first (authors: 1, 1, 1)."""
    location_prior: NotNegative | None = 20.0
    """Divide the map by the normal error of each place, drawn to the mean as if by so many images; null disables it."""
    smoothing_sigma: NotNegative = 4.0
    """Gaussian smoothing of the maps in pixels (authors: 4)."""
    deformation_map: Literal["backward", "both"] = "backward"
    """Fields that the deformation map adds up (authors' code: backward; paper: both)."""
    score: Literal["map", "map_and_deformation"] = "map_and_deformation"
    """The image score: the map's maximum alone, or with that of the deformation map."""
    deformation_weight: NotNegative = 0.05
    """Weight of the deformation map's maximum (authors: 0.05, but 0.2 for screw, carpet and metal_nut)."""
    score_normalisation: Literal["normals", "scored_set"] = "normals"
    """What brings both maxima to one scale: statistics of fit images, or min-max over the scored set (authors)."""
    memory_gigabytes: Positive = 4.0
    """Cached features above this size go to a file instead of memory; the results are the same."""
