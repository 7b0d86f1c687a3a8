"""The feature and receptive-field widgets: the functions behind them, and the controls."""

import time

import pytest
import torch
from matplotlib.figure import Figure
from torch import nn

from anomaly_course.widgets.features import (
    ALL_LAYERS,
    FeatureExample,
    components,
    error_map,
    feature_example,
    feature_figure,
    feature_studio,
    spectrum,
)
from anomaly_course.widgets.receptive import (
    Window,
    field_size,
    half_of_the_influence,
    influence,
    influence_figure,
    place_at,
    receptive_figure,
    receptive_viewer,
    seen,
    windows,
)
from anomaly_lib.base.reproducibility import generator
from anomaly_lib.methods.backbones import Backbone
from anomaly_lib.methods.dfr.features import RegionalFeatures
from anomaly_lib.methods.dfr.network import reconstruction_error
from tests.helpers import (
    assert_controls_change_the_picture_and_reset_restores_it,
    assert_the_picture_has_words,
    close_to,
    widget_parts,
)

SECONDS = 0.3
SIZE = 64


@pytest.fixture(scope="module")
def backbone():
    return Backbone("tf_efficientnet_lite0", ["stage0", "stage2", "stage3"])


@pytest.fixture(scope="module")
def example():
    """Two layers of two channels that are equal on normal images; one picture breaks the rule in a corner."""
    draw = generator(0, "test", "features")
    normals = torch.randn(4, 1, 8, 8, generator=draw).repeat(1, 4, 1, 1)
    normals += 0.1 * torch.randn(normals.shape, generator=draw)
    pictures, features, masks = torch.rand(2, 3, 32, 32, generator=draw), normals[:2].clone(), torch.zeros(2, 32, 32)
    features[1, 0, :2, :2] += 4
    masks[1, :8, :8] = 1
    vectors = normals.movedim(1, -1).reshape(-1, 4)
    return FeatureExample({"a": 2, "b": 2}, vectors, normals, features, pictures, masks.bool())


def positive(backbone: Backbone) -> Backbone:
    """The same network with positive weights, in which no gradient can cancel or vanish."""
    for module in backbone.network.modules():
        if isinstance(module, nn.Conv2d):
            module.weight.data.fill_(1 / module.weight[0].numel())
        elif isinstance(module, nn.BatchNorm2d):
            for name, value in (("weight", 1), ("bias", 0), ("running_mean", 0), ("running_var", 1)):
                getattr(module, name).data.fill_(value)
    backbone.mean.fill_(0)
    backbone.std.fill_(1)
    return backbone.double()


def extent(strength: torch.Tensor, axis: int) -> tuple[int, int]:
    (places,) = strength.sum(dim=1 - axis).nonzero(as_tuple=True)
    return places[0].item(), places[-1].item()


@pytest.mark.parametrize(("size", "layer", "place"), [(64, 0, 5), (64, 1, 3), (64, 1, 0), (96, 2, 3), (51, 1, 4)])
def test_arithmetic_and_gradient_find_the_same_receptive_field(size, layer, place):
    backbone = positive(Backbone("tf_efficientnet_lite0", ["stage0", "stage2", "stage3"]))
    chains = windows(backbone.float(), size)
    name = backbone.layers[layer]
    image = torch.full((3, size, size), 1e-4, dtype=torch.float64)  # so small that no ReLU6 is cut off above
    strength = influence(backbone.double(), image, name, place, 1)
    assert extent(strength, 0) == seen(chains[name], place)
    assert extent(strength, 1) == seen(chains[name], 1)


def test_the_real_networks_influence_stays_inside(backbone):
    image = torch.rand(3, SIZE, SIZE, generator=generator(0, "image"))
    first, last = seen(windows(backbone, SIZE)["stage0"], 7)
    strength = influence(backbone, image, "stage0", 7, 7)
    assert strength.sum() > 0
    strength[first : last + 1, first : last + 1] = 0
    assert not strength.any()


def test_vgg19_sees_as_far_as_table_1_of_the_paper_says(vgg19_weights):
    backbone = Backbone("vgg19", ["relu1_1", "relu2_1", "relu5_4"], str(vgg19_weights))
    sizes = {layer: field_size([(w.kernel, w.stride) for w in c]) for layer, c in windows(backbone, 32).items()}
    assert sizes == {"relu1_1": 3, "relu2_1": 10, "relu5_4": 252}


def test_a_receptive_field_by_hand():
    # a 3x3 convolution of stride 2 that pads one place, then a 3x3 of stride 1 that pads one
    chain = [Window(3, 2, 1, 16, 8), Window(3, 1, 1, 8, 8)]
    assert seen(chain, 3) == (3, 9)  # places 2 to 4, whose centres are pixels 4 to 8
    assert seen(chain, 0) == (0, 3)
    assert seen(chain, 7) == (11, 15)
    assert [place_at(chain, pixel) for pixel in (0, 1, 2, 15)] == [0, 0, 1, 7]


class Shortcut(nn.Module):
    """Two windows side by side on one input, as in a residual block."""

    def __init__(self):
        super().__init__()
        self.main, self.past = nn.Conv2d(3, 32, 3, 2, 1), nn.Conv2d(3, 32, 1, 2)

    def forward(self, images):
        return self.main(images) + self.past(images)


def test_strided_shortcuts_are_refused():
    backbone = Backbone("tf_efficientnet_lite0", ["stage0"])
    backbone.network.conv_stem = Shortcut()
    with pytest.raises(ValueError, match="not a chain"):
        windows(backbone, 16)


def test_half_of_the_influence():
    strength = torch.tensor([[8.0, 2.0], [1.0, 1.0]])
    assert half_of_the_influence(strength) == 1


def test_components_by_hand():
    cross = torch.tensor([[1.0, 1.0], [-1.0, -1.0], [2.0, 2.0], [-2.0, -2.0], [0.5, -0.5], [-0.5, 0.5]])
    found = components(cross)
    # squares of each channel sum to 10.5, products to 9.5; standardised, the variances are 1 +- 9.5 / 10.5
    assert found.explained.tolist() == pytest.approx([(1 + 9.5 / 10.5) / 2, 1])
    assert found.directions[:, 0].abs().tolist() == pytest.approx([0.5**0.5] * 2)


def test_what_is_left_out_is_the_error_of_the_reconstruction(example):
    found = components(example.vectors)
    standardised = found.space(example.features)
    left = found.left_out(example.features)
    errors = [reconstruction_error(standardised, found.reconstruct(standardised, latent)) for latent in range(5)]
    close_to(left, torch.stack(errors), 2e-6)
    assert left.diff(dim=0).max() <= 1e-6


def test_the_map_finds_the_broken_rule_with_one_component_and_nothing_with_all(example):
    found = error_map(example, ALL_LAYERS, 1, 1)
    assert found[example.masks[1]].median() > 1
    assert (found[~example.masks[1]] >= 1).float().mean() < 0.1
    assert not error_map(example, ALL_LAYERS, 4, 1).any()
    assert not error_map(example, "a", 256, 1).any()


def test_layers_are_looked_at_alone(example):
    assert len(spectrum(example, "b").explained) == 2
    assert error_map(example, "a", 1, 1)[example.masks[1]].median() > 1
    assert error_map(example, "b", 1, 1)[example.masks[1]].median() < 1  # the second layer has no defect
    with pytest.raises(ValueError, match="no layer 'c' among a, b"):
        example.slice_of("c")


def test_an_example_from_the_real_network(backbone):
    extractor = RegionalFeatures(backbone, SIZE, 16)
    images = torch.rand(3, 3, SIZE, SIZE, generator=generator(0, "images"))
    features = extractor(images)
    masks = torch.zeros(3, SIZE, SIZE, dtype=torch.bool)
    made = feature_example(extractor, features, features, images, masks)
    assert made.channels == {"stage0": 16, "stage2": 40, "stage3": 80}
    assert made.vectors.shape == (8192, 136)
    assert made.slice_of("stage2") == slice(16, 56)
    torch.testing.assert_close(made.features, features)


@pytest.fixture(params=["features", "receptive"])
def widget(request, example, backbone):
    if request.param == "features":
        return feature_studio(example, ["good", "bad"])
    return receptive_viewer(backbone, torch.rand(3, SIZE, SIZE, generator=generator(0, "photo")))


def another_value(control):
    """One at which the picture differs: 32 of four components are the same as 16."""
    if control.description == "latent size":
        return 1
    if not hasattr(control, "options"):
        return control.min
    return next(value for value in control.options if value != control.value)


def test_every_control_changes_the_picture_and_reset_brings_it_back(widget):
    assert_controls_change_the_picture_and_reset_restores_it(widget, another_value)


def test_the_picture_has_alternative_text(widget):
    assert_the_picture_has_words(widget)


def test_an_answer_takes_less_than_300_ms_of_processor_time(widget):
    moving, _, _ = widget_parts(widget)
    control = moving[1]
    values = (1, 2, 4) if hasattr(control, "options") else (0, 8, 16)
    taken = []
    for value in values:
        started = time.process_time()
        control.value = value
        taken.append(time.process_time() - started)
    assert min(taken) < SECONDS


def test_the_functions_behind_the_controls_are_plain(example, backbone):
    photo = torch.rand(3, SIZE, SIZE, generator=generator(0, "photo"))
    titles = [axis.get_title() for axis in feature_figure(example, "a", 1, 1).axes]
    assert titles[1].endswith("90 % takes 1")
    assert "of the defect" in titles[2]
    corner = receptive_figure(photo, windows(backbone, SIZE), 0, 0, "stage0")
    assert corner.axes[0].get_title().startswith("stage0: 7 × 7 px")
    assert corner.axes[1].get_title().startswith("seen here: 5 × 5")
    assert isinstance(influence_figure(backbone, photo, 32, 32), Figure)
