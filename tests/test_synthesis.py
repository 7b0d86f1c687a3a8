"""Synthetic anomalies: blends by their definition, every switch on and off, the same bits on any number of workers."""

import pytest
import torch
from torch.utils.data import DataLoader

from anomaly_lib.base.errors import InputError
from anomaly_lib.base.reproducibility import generator
from anomaly_lib.params import SynthesisRecipe
from anomaly_lib.synthesis import SyntheticBatches, load_textures, mask_coverage, synthesize

SIZE = 64
ALL_ANOMALOUS = {"clean_probability": 0.0}
SWITCHES = [
    {},
    {"clean_probability": 0.0},
    {"rotation_probability": 0.0},
    {"rotation_probability": 1.0, "rotation_degrees": 45.0},
    {"shape": "rectangles"},
    {"threshold": None},
    {"threshold": 0.2},
    {"texture_source": "colour"},
    {"texture_source": "normals"},
    {"texture_operations": "seven"},
    {"texture_operations": "none"},
    {"opacity": [0.1, 1.0]},
    {"opacity": [1.0, 1.0]},
    {"cutout_probability": 0.2},
    {"cutout_probability": 1.0},
]


@pytest.fixture(scope="module")
def images():
    return torch.rand(24, 3, SIZE, SIZE, generator=generator(0, "images"))


@pytest.fixture(scope="module")
def textures():
    return torch.randint(0, 256, (5, 3, SIZE, SIZE), generator=generator(0, "textures")).to(torch.uint8)


def made(images, textures, seed=0, **switches):
    return synthesize(images, textures, generator(seed, "draw"), SynthesisRecipe(**switches))


@pytest.mark.parametrize("switches", SWITCHES, ids=str)
def test_outside_the_mask_nothing_changes_and_inside_it_is_the_blend(images, textures, switches):
    result = made(images, textures, **switches)
    inside = result.mask.bool().expand_as(images)
    assert torch.equal(result.image[~inside], result.normal[~inside])
    opacity = result.opacity.view(-1, 1, 1, 1)
    blend = (1 - opacity) * result.normal + opacity * result.texture
    torch.testing.assert_close(result.image[inside], blend[inside])
    torch.testing.assert_close(result.image[inside], result.blend[inside])
    for picture in (result.image, result.normal, result.texture_source, result.texture, result.blend):
        assert 0 <= picture.min() <= picture.max() <= 1
    assert set(result.mask.unique().tolist()) <= {0.0, 1.0}
    assert result.mask.dtype == result.image.dtype == torch.float32


def test_the_mask_is_where_the_turned_noise_exceeds_the_threshold(images, textures):
    result = made(images, textures, threshold=None, **ALL_ANOMALOUS)
    threshold = result.draws.threshold.view(-1, 1, 1, 1)
    assert torch.equal(result.mask.bool(), result.rotated_noise > threshold)
    assert 0.25 <= threshold.min() < threshold.max() <= 0.75
    assert (made(images, textures, **ALL_ANOMALOUS).draws.threshold == 0.5).all()


def test_clean_samples_have_an_empty_mask_and_zeros_for_steps(images, textures):
    result = made(images, textures)
    clean = ~result.draws.anomalous
    assert 0 < clean.sum() < len(images)
    assert result.mask[clean].sum() == result.noise[clean].sum() == result.texture[clean].sum() == 0
    assert torch.equal(result.image[clean], result.normal[clean])
    assert all(
        (operations == ()) == bool(is_clean) for operations, is_clean in zip(result.operations, clean, strict=True)
    )
    assert made(images, textures, clean_probability=1.0).mask.sum() == 0


def test_about_half_stay_clean_on_purpose():
    draws = made(torch.rand(400, 3, 32, 32), torch.zeros(1, 3, 32, 32)).draws
    assert draws.anomalous.float().mean().item() == pytest.approx(0.5, abs=0.1)


def test_only_those_that_drew_an_angle_are_turned(images, textures):
    result = made(images, textures)
    still = result.draws.angle == 0
    assert torch.equal(result.normal[still], images[still])
    assert all(not torch.equal(*pair) for pair in zip(result.normal[~still], images[~still], strict=True))
    assert 2 <= (~still).sum() <= 14  # 0.3 of 24
    assert result.draws.angle.abs().max() <= 90
    assert torch.equal(made(images, textures, rotation_probability=0.0).normal, images)
    turned = made(images, textures, rotation_probability=1.0, rotation_degrees=10.0).draws.angle
    assert 0 < turned.abs().min() <= turned.abs().max() <= 10


def test_opacity_stays_in_its_range(images, textures):
    for low, high in ((0.2, 1.0), (0.1, 1.0), (1.0, 1.0)):
        opacity = made(images, textures, opacity=[low, high]).opacity
        assert low <= opacity.min() <= opacity.max() <= high
    inside = made(images, textures, opacity=[1.0, 1.0], **ALL_ANOMALOUS)
    where = inside.mask.bool().expand_as(images)
    assert torch.equal(inside.image[where], inside.texture[where])


def test_rectangles_are_rectangles_and_cover_about_what_noise_does(images, textures):
    result = made(images, textures, shape="rectangles", **ALL_ANOMALOUS)
    assert torch.equal(result.mask, result.noise)
    assert torch.equal(result.noise, result.rotated_noise)
    recipe = SynthesisRecipe(shape="rectangles")
    coverage = mask_coverage(400, (SIZE, SIZE), generator(0, "coverage"), recipe)
    assert coverage.min() > 0
    assert coverage.mean().item() == pytest.approx(0.048, abs=0.01)
    # one rectangle covers every pixel of its bounding box
    single = result.draws.rectangles.sum(dim=1) == 1
    assert single.any()
    assert all(is_one_box(mask[0]) for mask in result.mask[single])


def is_one_box(mask):
    rows, columns = mask.any(dim=1), mask.any(dim=0)
    return mask.sum() == rows.sum() * columns.sum()


def test_a_cutout_is_one_plain_box_from_10_pixels_to_half_the_size(images, textures):
    result = made(images, textures, cutout_probability=1.0, **ALL_ANOMALOUS)
    assert all(is_one_box(mask[0]) for mask in result.mask)
    for axis in (2, 3):
        sides = result.mask.amax(dim=5 - axis).sum(dim=2)
        assert 10 <= sides.min() < sides.max() <= SIZE / 2
    shades = torch.stack(
        [image[:, mask[0].bool()].unique() for image, mask in zip(result.image, result.mask, strict=True)]
    )
    assert set((shades * 255).round().flatten().tolist()) == {128.0, 255.0}
    assert (result.opacity == 1).all()
    assert result.operations == [()] * len(images)
    assert torch.equal(result.normal, made(images, textures, **ALL_ANOMALOUS).normal)  # the target has no box


def test_a_share_of_cutouts_leaves_the_other_samples_as_they_are(images, textures):
    with_some, without = (made(images, textures, cutout_probability=p, **ALL_ANOMALOUS) for p in (0.3, 0.0))
    cut = with_some.draws.cutout
    assert 0 < cut.sum() < len(images)
    assert torch.equal(with_some.image[~cut], without.image[~cut])
    assert torch.equal(with_some.mask[~cut], without.mask[~cut])


def test_a_colour_is_one_colour_without_operations_and_needs_no_textures(images):
    result = made(images, None, texture_source="colour", **ALL_ANOMALOUS)
    assert all(len(texture.flatten(1).unique(dim=1).T) == 1 for texture in result.texture)
    assert torch.equal(result.texture, result.texture_source)
    assert result.operations == [()] * len(images)
    assert len(result.texture[:, :, 0, 0].unique(dim=0)) == len(images)


def test_normals_serve_as_textures(images):
    result = made(images, None, texture_source="normals", texture_operations="none", **ALL_ANOMALOUS)
    pool = (images * 255).round() / 255
    assert all(any(torch.equal(texture, image) for image in pool) for texture in result.texture_source)


def test_without_operations_the_texture_is_a_given_one(images, textures):
    result = made(images, textures, texture_operations="none", **ALL_ANOMALOUS)
    assert torch.equal(result.texture, result.texture_source)
    assert all(any(torch.equal(texture, given / 255) for given in textures) for texture in result.texture)


@pytest.mark.parametrize(
    "switch",
    [
        {"shape": "rectangles"},
        {"texture_source": "colour"},
        {"texture_operations": "none"},
        {"opacity": [1.0, 1.0]},
        {"threshold": None},
    ],
    ids=str,
)
def test_a_switch_changes_nothing_else(images, textures, switch):
    plain, switched = made(images, textures), made(images, textures, **switch)
    assert torch.equal(plain.normal, switched.normal)
    assert torch.equal(plain.draws.anomalous, switched.draws.anomalous)
    if not {"shape", "threshold"} & set(switch):
        assert torch.equal(plain.mask, switched.mask)
    if "texture_source" not in switch:
        assert torch.equal(plain.texture_source, switched.texture_source)
    assert not torch.equal(plain.image, switched.image)


def test_textures_of_another_size_are_resized_and_floats_are_taken_as_levels(images, textures):
    small = textures[:, :, ::2, ::2]
    result = made(images, small, texture_operations="none", **ALL_ANOMALOUS)
    assert result.texture_source.shape == images.shape
    assert result.texture_source.mean() == pytest.approx(0.5, abs=0.02)
    assert torch.equal(made(images, textures / 255).image, made(images, textures).image)


def test_the_input_is_left_alone_and_so_is_the_global_generator(images, textures):
    before, state = images.clone(), torch.random.get_rng_state()
    result = made(images, textures, rotation_probability=1.0)
    assert torch.equal(images, before)
    assert torch.equal(torch.random.get_rng_state(), state)
    strided = images.contiguous(memory_format=torch.channels_last)
    assert torch.equal(made(strided, textures, rotation_probability=1.0).image, result.image)


def test_images_need_not_be_square(textures):
    images = torch.rand(8, 3, 40, 72, generator=generator(0, "wide"))
    for switches in ({}, {"shape": "rectangles"}, {"cutout_probability": 1.0}):
        result = made(images, textures, **ALL_ANOMALOUS, **switches)
        assert result.image.shape == (8, 3, 40, 72)
        assert result.mask.shape == (8, 1, 40, 72)


@pytest.fixture
def deterministic():
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


def test_a_seed_gives_the_same_batch_also_with_deterministic_algorithms(images, textures, deterministic):
    first, again, other = made(images, textures), made(images, textures), made(images, textures, seed=1)
    assert torch.equal(first.image, again.image)
    assert torch.equal(first.mask, again.mask)
    assert not torch.equal(first.image, other.image)


def batches_of(images, textures, **switches):
    return SyntheticBatches(images, textures, SynthesisRecipe(**switches), batch=4, seed=3)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_batch_depends_neither_on_the_workers_nor_on_the_steps_before(images, textures, workers):
    batches = batches_of(images, textures)
    alone = [batches[step] for step in range(5)]
    loaded = DataLoader(batches, batch_size=None, sampler=range(2, 5), num_workers=workers)
    for expected, batch in zip(alone[2:], loaded, strict=True):
        assert torch.equal(batch.image, expected.image)
        assert torch.equal(batch.mask, expected.mask)
        assert torch.equal(batch.normal, expected.normal)
        assert batch.operations == expected.operations
    assert not torch.equal(alone[0].image, alone[1].image)


def test_the_given_images_are_the_target_where_none_is_turned(images, textures):
    assert made(images, textures, rotation_probability=0.0).normal is images


def test_a_batch_does_not_depend_on_the_number_of_threads(images, textures):
    batches, threads = batches_of(images, textures, **ALL_ANOMALOUS), torch.get_num_threads()
    expected = batches[0]
    torch.set_num_threads(2)
    try:
        assert torch.equal(batches[0].image, expected.image)
    finally:
        torch.set_num_threads(threads)


def test_normals_are_drawn_with_replacement_and_untouched(images, textures):
    before = images.clone()
    batches = batches_of(images, textures, rotation_probability=0.0)
    drawn = torch.cat([batches[step].normal for step in range(12)])
    which = [next(i for i, image in enumerate(images) if torch.equal(image, normal)) for normal in drawn]
    assert 15 < len(set(which)) < 24
    batches_of(images, textures, rotation_probability=1.0)[0]
    assert torch.equal(images, before)


def test_steps_are_kept_on_request_and_change_nothing(images, textures):
    plain = batches_of(images, textures)[0]
    kept = SyntheticBatches(images, textures, SynthesisRecipe(), batch=4, seed=3, keep_steps=True)[0]
    assert torch.equal(plain.image, kept.image)
    assert kept.texture.shape == plain.image.shape
    assert torch.equal(kept.to("cpu").rotated_noise, kept.rotated_noise)
    with pytest.raises(InputError, match="keep_steps=True"):
        _ = plain.texture


def test_batches_take_other_normals_as_textures(images):
    batch = SyntheticBatches(
        images, None, SynthesisRecipe(texture_source="normals", texture_operations="none"), 4, 0, keep_steps=True
    )[0]
    assert batch.mask.sum() > 0


def test_a_seeds_batch_stays_what_it_is():
    """Recorded when the synthesis was written: a change here changes every trained model."""
    y, x = torch.meshgrid(torch.linspace(0, 1, 64), torch.linspace(0, 1, 64), indexing="ij")
    images = torch.stack([torch.stack([x, y, x * y]), torch.stack([y, 1 - x, x])])
    textures = (torch.stack([torch.stack([x * y, 1 - y, x])]) * 255).to(torch.uint8)
    batch = SyntheticBatches(images, textures, SynthesisRecipe(), batch=16, seed=0)[7]
    assert batch.operations[:4] == [
        (),
        (),
        ("brightness", "solarize", "hue and saturation"),
        ("gamma", "rotation", "autocontrast"),
    ]
    means = [float(part.mean()) for part in (batch.image, batch.mask, batch.normal, batch.opacity)]
    assert means == pytest.approx([0.42798, 0.017761, 0.42837, 0.709879], abs=1e-4)


def test_coverage_is_near_the_documented_one():
    coverage = mask_coverage(600, (128, 128), generator(0, "coverage"))
    assert coverage.mean().item() == pytest.approx(0.048, abs=0.008)
    assert coverage.median().item() == pytest.approx(0.045, abs=0.005)
    assert (coverage == 0).float().mean().item() == pytest.approx(0.053, abs=0.03)
    with pytest.raises(InputError, match="too small for 32 Perlin cells"):
        mask_coverage(3, (16, 128), generator(0, "coverage"))


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((2, 1, 64, 64), r"\(2, 1, 64, 64\)"),
        ((3, 64, 64), "is needed"),
        ((2, 3, 31, 64), "raise image_size to at least 32"),
    ],
)
def test_images_of_a_wrong_shape_are_refused(textures, shape, message):
    with pytest.raises(InputError, match=message):
        made(torch.rand(shape), textures)


def test_other_bad_input_is_one_clear_line(images, textures, tmp_path):
    with pytest.raises(InputError, match="uint8"):
        made((images * 255).to(torch.uint8), textures)
    for none in (None, textures[:0]):
        with pytest.raises(InputError, match="no textures; load a folder with load_textures"):
            made(images, none)
    with pytest.raises(InputError, match="textures of shape"):
        made(images, textures[:, :1])
    with pytest.raises(InputError, match="no normal images"):
        SyntheticBatches(images[:0], textures, SynthesisRecipe(), 4, 0)
    with pytest.raises(InputError, match="no textures"):
        SyntheticBatches(images, None, SynthesisRecipe(), 4, 0)


def test_small_images_are_fine_with_rectangles(textures):
    result = made(torch.rand(6, 3, 12, 12), textures, shape="rectangles", cutout_probability=0.5, **ALL_ANOMALOUS)
    assert (result.mask.sum(dim=(1, 2, 3)) > 0).all()
    with pytest.raises(InputError, match="1x12 pixels"):
        made(torch.rand(6, 3, 1, 12), textures, shape="rectangles")


def test_textures_are_found_in_sub_folders_and_their_absence_is_named(tiny_data, tmp_path):
    textures = load_textures(tiny_data / "dots/train", 16)
    assert textures.shape == (10, 3, 16, 16)
    assert textures.dtype == torch.uint8
    with pytest.raises(InputError, match="no texture images here; run 'dvc pull data'"):
        load_textures(tmp_path, 16)
    with pytest.raises(InputError, match=r"nowhere: no such texture folder; run 'dvc pull data'"):
        load_textures(tmp_path / "nowhere", 16)
