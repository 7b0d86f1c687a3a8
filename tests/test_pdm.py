"""PDM for video: the clips, what the network may and may not do, losses, scores and pictures.

The lesson itself, 31_pdm_video, runs in tests/test_lessons.py.
"""

import numpy as np
import pytest
import torch
from PIL import Image

from anomaly_course.lessons.pdm import check_robust_mean, check_shifted
from anomaly_course.pdm.clip import FRAMES, KINDS, NOISE, SIZE, Clip, background, make_clips
from anomaly_course.pdm.figure import flow_colours, moment_figure, panels, player
from anomaly_course.pdm.losses import gradient_error, gradient_loss, prediction_losses
from anomaly_course.pdm.movie import movie_frames, save_movie
from anomaly_course.pdm.network import HISTORY, FramePredictor, Prediction
from anomaly_course.pdm.score import (
    WEIGHTS,
    NormalRange,
    clip_maps,
    clip_terms,
    frame_auroc,
    frame_scores,
    frame_values,
    normal_ranges,
    robust_average,
)
from anomaly_course.pdm.training import PLAIN, Settings, fit, windows
from anomaly_lib.base.reproducibility import generator

TINY = {"steps": 12, "batch": 4, "codes": 16}


@pytest.fixture(scope="module")
def normals():
    return make_clips(0, "fit", "normal", 3)


@pytest.fixture(scope="module")
def trained(normals):
    return fit(normals, Settings(**TINY), progress=False)


@pytest.fixture
def predictor():
    torch.manual_seed(0)
    return FramePredictor(32, codes=8, pixels=(2.0, 3.0))


@pytest.fixture
def history():
    return torch.rand(3, HISTORY, 32, 32, generator=generator(0, "history")) * 2 - 1


@pytest.mark.parametrize("kind", ["normal", *KINDS])
def test_clips_are_reproducible_and_labelled_where_they_are_unusual(kind):
    first, again = make_clips(1, "test", kind, 2), make_clips(1, "test", kind, 2)
    for clip, same in zip(first, again, strict=True):
        assert torch.equal(clip.frames, same.frames)
        assert clip.frames.shape == (FRAMES, SIZE, SIZE)
        assert clip.frames.min() >= 0
        assert clip.frames.max() <= 1
        assert clip.labels.any().item() == (kind != "normal")
        assert not clip.labels[: FRAMES // 4].any()
    assert not torch.equal(first[0].frames, first[1].frames)
    assert not torch.equal(first[0].frames, make_clips(1, "fit", kind, 1)[0].frames)


def test_an_unknown_kind_of_clip_is_refused_by_name():
    with pytest.raises(ValueError, match="no kind 'flying'"):
        make_clips(0, "test", "flying", 1)


def test_the_scene_stands_still(normals):
    middle = torch.cat([clip.frames for clip in normals]).median(dim=0).values
    torch.testing.assert_close(middle, torch.from_numpy(background(0)).float(), atol=1.5 * NOISE, rtol=0)


def test_windows_are_four_frames_and_the_next():
    frames = torch.arange(7.0)[:, None, None].expand(7, 2, 3) / 10
    histories, targets = windows(frames)
    assert histories.shape == (3, HISTORY, 2, 3)
    torch.testing.assert_close((histories[1, :, 0, 0] + 1) / 2, torch.tensor([0.1, 0.2, 0.3, 0.4]))
    torch.testing.assert_close((targets[:, 0, 0, 0] + 1) / 2, torch.tensor([0.4, 0.5, 0.6]))


def test_flows_stay_within_their_pixels(predictor, history):
    for head in (predictor.flow.coarse, predictor.flow.fine):
        torch.nn.init.constant_(head.bias, 50.0)
    flows = predictor(history).flows
    assert flows.coarse.abs().max().item() * 16 == pytest.approx(2.0, abs=1e-4)
    assert flows.fine.abs().max().item() * 16 == pytest.approx(3.0, abs=1e-4)


def test_the_flow_does_not_move_the_encoder(predictor, history):
    prediction = predictor(history)
    (prediction.flows.coarse.square().sum() + prediction.flows.fine.square().sum()).backward()
    assert all(parameter.grad is None for parameter in predictor.encoder.parameters())
    assert all(skip.weight.grad.abs().sum() > 0 for skip in predictor.flow.skips)


def test_nothing_goes_around_the_memory_to_the_reference(predictor, history):
    predictor.eval()
    assert not torch.equal(*predictor(history).frame[:2])
    with torch.no_grad():
        predictor.memory.embedding.weight.fill_(0.3)
    prediction = predictor(history)
    assert torch.equal(prediction.reference[0], prediction.reference[1])


def test_the_background_is_not_warped(predictor, history):
    with torch.no_grad():
        predictor.background.copy_(torch.rand(1, 1, 32, 32, generator=generator(0, "template")))
        predictor.reference[-1].bias[1] = -100.0  # no foreground anywhere
    prediction = predictor(history)
    assert prediction.flows.fine.abs().max() > 0
    torch.testing.assert_close(prediction.frame, predictor.background.expand(3, 1, 32, 32))


def test_without_flow_all_three_frames_are_the_same(history):
    prediction = FramePredictor(32, **PLAIN)(history)
    assert prediction.codes is None
    assert prediction.memory_loss == 0
    torch.testing.assert_close(prediction.frame, prediction.reference, atol=1e-5, rtol=0)


def test_the_loss_is_the_weighted_sum_and_its_gradient_is_finite_at_zero_flow(predictor, history):
    for head in (predictor.flow.coarse, predictor.flow.fine):
        torch.nn.init.zeros_(head.weight)
        torch.nn.init.zeros_(head.bias)
    terms = prediction_losses(predictor(history), history[:, :1], predictor.background)
    rest = terms["mse"] + terms["gradient"] + terms["memory"] + terms["background"]
    expected = rest + 0.25 * (0.4 * terms["strength"] + terms["smoothness"])
    torch.testing.assert_close(terms["loss"], expected)
    terms["loss"].backward()
    gradients = [parameter.grad for parameter in predictor.parameters() if parameter.grad is not None]
    assert all(gradient.isfinite().all() for gradient in gradients)


def test_a_perfect_prediction_costs_nothing(history):
    target, none = history[:, :1], torch.zeros(3, 2, 32, 32)
    perfect = Prediction(target, target, target, torch.ones_like(target), (none, none), torch.zeros(()), None, None)
    terms = prediction_losses(perfect, target, torch.zeros(1, 1, 32, 32))
    assert terms["loss"].item() == pytest.approx(0.0, abs=1e-6)


def test_the_gradient_error_adds_up_to_the_loss_and_ignores_an_offset_in_brightness(history):
    found, wanted = history[:, :1], history[:, 1:2]
    assert gradient_loss(found + 0.3, found).item() == pytest.approx(0.0, abs=1e-6)
    total = gradient_error(found, wanted).sum() / (3 * 31 * 32)
    torch.testing.assert_close(total, gradient_loss(found, wanted))


def test_training_gives_the_same_bits_twice_and_its_loss_falls(normals, trained):
    predictor, history = trained
    torch.manual_seed(123)  # the global generator has no part in it
    again, history_again = fit(normals, Settings(**TINY), progress=False)
    assert history == history_again
    assert all(torch.equal(a, b) for a, b in zip(predictor.parameters(), again.parameters(), strict=True))
    assert history[-1]["loss"] < 0.8 * history[0]["loss"]
    assert 1 < history[-1]["used_codes"] <= 16


def test_a_frame_counts_by_its_worst_square():
    maps = torch.zeros(2, 1, 32, 32)
    maps[0, 0, 10:19, 12:21] = 2.0
    maps[1, 0, 5, 5] = 81.0
    np.testing.assert_allclose(frame_values(maps), [2.0, 1.0])


def test_robust_averages_ignore_a_lone_outlier_and_keep_a_lasting_change():
    lone, lasting = np.zeros(30), np.zeros(30)
    lone[15], lasting[10:] = 100.0, 1.0
    np.testing.assert_array_equal(robust_average(lone), np.zeros(30))
    assert robust_average(lasting)[[4, 16]].tolist() == [0.0, 1.0]
    np.testing.assert_array_equal(robust_average(lone, 1), lone)
    assert len(robust_average(np.arange(4.0))) == 4


def test_scores_count_from_held_out_normals_or_from_each_video():
    terms = {name: np.linspace(1, 3, 9) for name in WEIGHTS}
    ranges = dict.fromkeys(WEIGHTS, NormalRange(1.0, 0.5))
    honest = frame_scores(terms, ranges, averaged=1)
    np.testing.assert_allclose(honest, 1.2 * np.linspace(0, 4, 9))
    double = {name: 2 * values for name, values in terms.items()}
    assert frame_scores(double, ranges, averaged=1)[-1] > honest[-1]
    stretched = [frame_scores(t, ranges, normalisation="paper_minmax_per_video", averaged=1) for t in (terms, double)]
    np.testing.assert_allclose(*stretched)
    assert stretched[0].max() == pytest.approx(1.2)


def test_the_normal_range_is_median_and_quartiles_over_all_clips():
    ranges = normal_ranges([{"l1": np.arange(0, 6.0)}, {"l1": np.arange(6, 9.0)}])
    assert ranges["l1"] == NormalRange(4.0, 4.0)


def test_auroc_is_of_predicted_frames_by_kind():
    labels = torch.arange(10) >= 7
    clips = [Clip(torch.zeros(10, 4, 4), labels & (kind != "normal"), kind) for kind in ("normal", "jumping")]
    rising = np.arange(6.0)
    aurocs = frame_auroc(clips, [np.zeros(6), rising])
    assert aurocs == {"all": 1.0, "jumping": 1.0}
    assert frame_auroc(clips, [np.zeros(6), -rising])["all"] == 0.0


def test_the_movie_is_small_and_has_a_still_strip(trained, tmp_path):
    predictor, _ = trained
    (clip,) = make_clips(0, "test", "jumping", 1)
    maps, terms = clip_maps(predictor, clip), clip_terms(predictor, clip)
    scores = frame_scores(terms, normal_ranges([terms]))
    gif, strip = save_movie(clip, maps, scores, tmp_path, threshold=1.0)
    assert gif.stat().st_size < 1_000_000
    with Image.open(gif) as opened, Image.open(strip) as still:
        assert opened.n_frames > 20
        assert still.height == 4 * opened.height
    assert len(movie_frames(clip, maps, scores)) == FRAMES - HISTORY
    assert all(picture.shape == (FRAMES - HISTORY, SIZE, SIZE, 3) for picture in panels(maps).values())
    assert len(moment_figure(clip, maps, scores, 30).axes) == 7
    slider, picture = player(clip, maps, scores).children[0].children[0], player(clip, maps, scores).children[1]
    assert slider.min == HISTORY
    assert 'alt="the chosen frame' in picture.value


def test_no_flow_is_white_and_direction_is_hue():
    flow = torch.zeros(1, 2, 64, 64)
    assert (flow_colours(flow) == 1).all()
    flow[:, 0] = 3 * 2 / 64
    np.testing.assert_allclose(flow_colours(flow)[0, 0, 0], [1, 0, 0], atol=1e-5)


def test_the_exercises_tell_right_from_wrong(capsys):
    assert not check_shifted(lambda picture, pixels: picture.roll(-pixels, dims=1))
    assert not check_robust_mean(lambda values: values.mean())
    assert "not yet" in capsys.readouterr().out
