"""`detect`: right numbers, pictures that tell, and nothing lost or overwritten, whatever the folder holds."""

import csv
import json
import os
import shutil
import warnings
from dataclasses import replace

import nbformat
import numpy as np
import pytest
import yaml
from PIL import Image

from anomaly_lib.base.errors import InputError
from anomaly_lib.cli import main
from anomaly_lib.data import load_category
from anomaly_lib.data.regions import save_region
from anomaly_lib.data.tensors import load_images
from anomaly_lib.detect.boxes import Box, boxes_of
from anomaly_lib.detect.files import find_photos, output_stems
from anomaly_lib.detect.run import detect
from anomaly_lib.evaluation.thresholds import decide, decision_words
from anomaly_lib.figures.detection import Detection, detection_figure, drawn, telling_extra
from anomaly_lib.figures.style import MAP_LIMITS, map_scale
from anomaly_lib.methods.checkpoints import load_model, save_model
from anomaly_lib.params import load_params
from anomaly_lib.pipeline.runs import find_model
from anomaly_lib.registry import METHODS, method_class, params_class
from tests.conftest import TINY_SETTINGS, quick_method
from tests.helpers import close_to

THRESHOLDS = {"image": 5.0, "pixel": 4.0, "pixel_median": 1.0}


@pytest.fixture
def photos(tiny_data, tmp_path):
    """A folder as people have them: a good and a bad part, sub-folders, equal stems, odd formats, a broken file."""
    folder = tmp_path / "photos"
    (folder / "line 2").mkdir(parents=True)
    bad = Image.open(tiny_data / "dots/test/square/000.png")
    Image.open(tiny_data / "dots/test/good/000.png").save(folder / "good.png")
    bad.save(folder / "bad.png")
    bad.resize((150, 100)).save(folder / "line 2/part.png")
    bad.convert("L").save(folder / "line 2/part.bmp")
    (folder / "torn.png").write_bytes((folder / "bad.png").read_bytes()[:200])
    (folder / "notes.txt").write_text("not a photo")
    (folder / ".hidden.png").write_bytes(b"")
    return folder


def test_scores_are_those_of_the_method_and_decisions_those_of_the_threshold(model, photos, tmp_path):
    results = detect(model, photos, tmp_path / "out", progress=False)
    files = ["bad.png", "good.png", "line 2/part.bmp", "line 2/part.png"]
    assert [row.file for row in results.rows] == files
    expected = model.method.score(load_images([photos / file for file in files], 64)).scores
    assert [row.score for row in results.rows] == expected.tolist()
    decisions = {row.file: row.decision for row in results.rows}
    assert (decisions["bad.png"], decisions["good.png"]) == ("anomalous", "normal")
    assert {row.model_digest for row in results.rows} == {model.digest}


def test_regions_are_counted_above_the_pixel_threshold(model, photos, tmp_path):
    results = detect(model, photos / "bad.png", tmp_path / "out", pictures=False, maps=True)
    above = np.load(tmp_path / "out/bad.npy") >= model.thresholds["pixel"]
    row = results.rows[0]
    assert row.regions >= 1
    assert 0 < row.largest_region_share <= above.mean()


def test_each_region_has_a_box_in_pixels_of_the_photo():
    values = np.zeros((4, 8), np.float32)
    values[0, 0] = values[1, 1] = 3.0  # diagonal neighbours are one region
    values[2:4, 5:7] = 5.0
    assert boxes_of(values, 3.0, (40, 160)) == (Box(100, 20, 40, 20, 4 / 32, 5.0), Box(0, 0, 40, 20, 2 / 32, 3.0))
    assert boxes_of(values, 5.1, (40, 160)) == ()
    assert boxes_of(values, 3.0, (2, 3))[0] == Box(1, 1, 2, 1, 4 / 32, 5.0)  # outwards to whole pixels


def test_the_p_value_counts_held_out_normals_at_or_above(model, photos, tmp_path):
    own = detect(model, photos / "good.png", tmp_path / "0", pictures=False).rows[0].score
    normals = [own - 2, own - 1, own, own + 1]
    asked = replace(model, thresholds=model.thresholds | {"held_out_scores": normals, "image": own + 0.5})
    row = detect(asked, photos / "good.png", tmp_path / "1", pictures=False).rows[0]
    assert (row.rank, row.p_value, row.decision) == (3, 3 / 5, "normal")
    assert row.unsure is False  # the way from the median is 1.0, and a tenth of it is less than 0.5
    assert detect(asked, photos / "good.png", tmp_path / "2", pictures=False, unsure=0.51).rows[0].unsure is True
    assert model.thresholds["held_out_scores"] == sorted(model.thresholds["held_out_scores"])
    assert len(model.thresholds["held_out_scores"]) == model.thresholds["held_out_images"]


def test_a_threshold_of_ones_own_decides(model_folder, photos, tmp_path, capsys):
    command = ["detect", str(photos / "good.png"), "--model", str(model_folder), "--no-pictures", "--json"]
    assert main([*command, "--output", str(tmp_path / "out"), "--threshold", "-1e9"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["images"][0]["decision"], record["images"][0]["threshold"]) == ("anomalous", -1e9)
    assert record["model"]["thresholds"]["image_rule"] == "--threshold"


def test_json_csv_and_files_agree(model, photos, tmp_path):
    results = detect(model, photos, tmp_path / "out", maps=True, progress=False)
    record = json.loads((tmp_path / "out/results.json").read_text())
    lines = list(csv.DictReader((tmp_path / "out/results.csv").open(encoding="utf-8")))
    assert [line["file"] for line in lines] == [image["file"] for image in record["images"]]
    assert [float(line["score"]) for line in lines] == [image["score"] for image in record["images"]]
    assert record["model"]["thresholds"] == model.thresholds
    assert [skipped["file"] for skipped in record["skipped"]] == [str(photos / "torn.png")]
    named = {row.picture for row in results.rows} | {row.map for row in results.rows}
    written = {str(file.relative_to(tmp_path / "out")) for file in (tmp_path / "out").rglob("*") if file.is_file()}
    assert written == named | {"results.json", "results.csv", "regions.csv"}
    boxes = list(csv.DictReader((tmp_path / "out/regions.csv").open(encoding="utf-8")))
    assert [(box["file"], int(box["left"]), float(box["peak"])) for box in boxes] == [
        (image["file"], box["left"], box["peak"]) for image in record["images"] for box in image["boxes"]
    ]
    assert len(boxes) >= 3  # each bad part has one


def test_equal_stems_and_sub_folders_overwrite_nothing(tmp_path):
    names = ["a.png", "a.jpg", "a.jpg.png", "b.png", "sub/a.png", "sub/A.bmp", "other/a.png"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    stems = output_stems(find_photos(tmp_path, tmp_path / "out"))
    assert {str(stem) for stem in stems.values()} == {
        "a.jpg",
        "a.jpg.png",
        "a.png",
        "b.png",
        "other/a",
        "sub/A.bmp",
        "sub/a.png",
    }


def test_a_map_has_the_photos_own_size_and_the_models_values(model, photos, tmp_path):
    detect(model, photos, tmp_path / "out", pictures=False, maps=True, progress=False)
    own = model.method.score(load_images([photos / "bad.png"], 64)).maps[0].numpy()
    same, other = np.load(tmp_path / "out/bad.npy"), np.load(tmp_path / "out/line 2/part.png.npy")
    close_to(same, own, 3e-6)
    assert (other.shape, other.dtype) == ((100, 150), np.float32)
    found = np.unravel_index(other.argmax(), other.shape)
    expected = np.unravel_index(own.argmax(), own.shape)
    np.testing.assert_allclose((np.array(found) + 0.5) / (100, 150), (np.array(expected) + 0.5) / 64, atol=0.05)


def test_a_folder_that_holds_the_output_is_not_fed_its_own_pictures(model, photos):
    first = detect(model, photos, photos / "out", progress=False)
    second = detect(model, photos, photos / "out", progress=False)
    assert second.rows == first.rows


def test_two_runs_write_the_same_bytes(model, photos, tmp_path):
    for run in ("one", "two"):
        detect(model, photos, tmp_path / run, maps=True, progress=False)
    for file in sorted(file for file in (tmp_path / "one").rglob("*") if file.is_file()):
        assert (tmp_path / "two" / file.relative_to(tmp_path / "one")).read_bytes() == file.read_bytes(), file


def test_photos_are_never_overwritten(model, photos, tmp_path):
    before = {file: file.read_bytes() for file in photos.rglob("*") if file.is_file()}
    with pytest.raises(InputError, match="choose another --output"):
        detect(model, photos, photos)
    with pytest.raises(InputError, match=r"bad\.png: would replace a photo"):
        detect(model, photos / "bad.png", photos)
    assert {file: file.read_bytes() for file in photos.rglob("*") if file.is_file()} == before


def test_links_to_folders_are_reported_and_not_followed(model, photos, tmp_path):
    (photos / "loop").symlink_to(photos)
    (photos / "away").symlink_to(tmp_path)
    results = detect(model, photos, tmp_path / "out", pictures=False, progress=False)
    assert len(results.rows) == 4
    assert {problem.path.name for problem in results.skipped} == {"loop", "away", "torn.png"}


def save_as(photos, name):
    """The anomalous photo under another name and in the format that the name says."""
    options = {"format": "WEBP", "lossless": True} if name.endswith("webp") else {"format": "JPEG", "quality": 95}
    Image.open(photos / "bad.png").convert("RGB").save(photos / name, **options)


def test_photos_of_every_type_that_is_read_are_looked_at(model, photos, tmp_path):
    names = ["a.webp", "b.JFIF", "line 2/c.jpe"]
    for name in names:
        save_as(photos, name)
    results = detect(model, photos, tmp_path / "out", pictures=False, progress=False)
    assert {row.file: row.decision for row in results.rows if row.file in names} == dict.fromkeys(names, "anomalous")


@pytest.mark.parametrize("name", ["ng.gif", "ng.HEIC", "line 2/ng.jp2", "deep/er/ng.avif"])
def test_a_photo_of_a_type_that_is_not_read_never_passes_unseen(name, model_folder, photos, tmp_path, capsys):
    (photos / "torn.png").unlink()
    (photos / name).parent.mkdir(parents=True, exist_ok=True)
    (photos / name).write_bytes(b"whatever")
    assert run(photos, "--model", model_folder, "--output", tmp_path / "out", "--no-pictures") == 1
    captured = capsys.readouterr()
    file = name.rsplit("/")[-1]
    assert f"{photos / name}: is of a type that is not read" in captured.err
    assert f"1 not looked at ({file})" in captured.out
    assert "left out 2 files: 1 hidden (.hidden.png), 1 not named as photos (notes.txt)" in captured.out
    record = json.loads((tmp_path / "out/results.json").read_text())
    assert [skipped["file"] for skipped in record["skipped"]] == [str(photos / name)]
    assert record["left_out"] == {"hidden": [".hidden.png"], "not named as photos": ["notes.txt"]}


def test_a_pipe_a_dead_link_and_a_link_out_of_the_folder_are_named(model, photos, tmp_path):
    os.mkfifo(photos / "pipe.png")
    (photos / "dead.png").symlink_to("nowhere.png")
    (tmp_path / "elsewhere.png").write_bytes((photos / "bad.png").read_bytes())
    (photos / "out.png").symlink_to(tmp_path / "elsewhere.png")
    results = detect(model, photos, tmp_path / "out", pictures=False, progress=False)
    assert len(results.rows) == 4
    assert {problem.path.name for problem in results.skipped} == {"pipe.png", "dead.png", "out.png", "torn.png"}


def test_without_thresholds_there_is_a_score_and_a_map_but_no_decision(model, model_folder, photos, tmp_path):
    save_model(tmp_path / "bare", model.method, "dots", {})
    results = detect(load_model(tmp_path / "bare"), photos, tmp_path / "out", progress=False)
    row = results.rows[0]
    assert (row.threshold, row.decision, row.regions, row.largest_region_share) == (None, None, None, None)
    assert (row.unsure, row.rank, row.p_value, row.boxes) == (None, None, None, None)
    line = next(iter(csv.DictReader((tmp_path / "out/results.csv").open(encoding="utf-8"))))
    assert (line["threshold"], line["decision"], line["regions"]) == ("", "", "")
    scale = json.loads((tmp_path / "out/results.json").read_text())["model"]["scale"]
    maps = model.method.score(load_images([photos / row.file for row in results.rows], 64)).maps
    assert scale["shown_as_0"] == maps.min().item()
    assert "the range of these maps" in scale["meaning"]
    assert (tmp_path / "out" / row.picture).is_file()


@pytest.mark.parametrize("name", sorted(METHODS))
def test_every_method_has_its_four_panels(name, tiny_data, tmp_path):
    method = quick_method(name)
    method.fit(load_images(load_category(tiny_data, "dots").train, 64), progress=False)
    save_model(tmp_path / "model", method, "dots", THRESHOLDS)
    detect(load_model(tmp_path / "model"), tiny_data / "dots/test/square/000.png", tmp_path)
    with Image.open(tmp_path / "000.png") as picture:
        assert picture.width > 1000


def test_a_reconstruction_is_shown_before_any_other_picture_and_the_clearest_map_before_the_others():
    flat = np.random.default_rng(0).random((8, 8))
    peaked = flat.copy()
    peaked[3, 4] = 20
    colour = np.full((3, 8, 8), 0.5)
    assert telling_extra({"map": peaked, "warped": colour, "reconstruction": colour}).title == "reconstruction"
    assert telling_extra({"first": flat, "map": peaked, "warped_image": colour}).title == "warped image"
    plain = telling_extra({"stage0": flat, "stage1": peaked, "map": peaked})
    assert plain.title == "stage1, clearest at the peak"
    assert plain.pixels.mean() == pytest.approx(1)
    assert telling_extra({"map": peaked}) is None


def detection_of(thresholds, score=6.0, shape=(60, 90), top=7.0):
    anomaly_map = np.ones((16, 16), np.float32)
    anomaly_map[4:8, 4:8] = top
    photo = np.full((*shape, 3), 90, np.uint8)
    scale = map_scale(thresholds, 1.0, top)
    extra = telling_extra({"map": anomaly_map, "other": anomaly_map})
    return Detection("a$b$.png", photo, anomaly_map, scale, score, thresholds.get("image"), extra, "caption")


def figure_of(*arguments, **settings):
    return detection_figure(detection_of(*arguments, **settings))


@pytest.mark.parametrize(("score", "words"), [(6.0, "anomalous (NG)"), (5.0, "anomalous (NG)"), (4.9, "normal (OK)")])
def test_the_picture_says_the_decision_in_words_and_colour(score, words):
    title = figure_of(THRESHOLDS, score).get_suptitle()
    assert title.startswith("a$b$.png: score ")
    assert title.endswith(words)


def test_all_maps_of_a_model_are_drawn_on_its_fixed_scale_with_the_threshold_as_contour():
    for top in (7.0, 70.0):
        axis = figure_of(THRESHOLDS, top=top).axes[2]
        assert axis.images[0].get_clim() == MAP_LIMITS
        assert axis.images[0].get_array().min() == 0  # the median normal pixel
        contour = axis.collections[0]
        assert list(contour.levels) == [1]
        edges = np.concatenate([path.vertices for path in contour.get_paths()])
        left, right = edges[:, 0].min() / 90, edges[:, 0].max() / 90
        assert 3 / 16 < left < 5 / 16 < 7 / 16 < right < 9 / 16  # in the photo's own proportions


def test_without_a_threshold_the_picture_says_so_and_has_no_contour():
    figure = figure_of({})
    assert figure.get_suptitle().endswith("6; no threshold, so no decision")
    assert not figure.axes[2].collections
    assert "the range of these maps" in figure.axes[5].get_xlabel()


@pytest.mark.parametrize("shape", [(90, 90), (20, 400), (400, 20), (1, 1)])
def test_any_proportion_gives_a_picture_without_a_warning(shape, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure_of(THRESHOLDS, shape=shape).savefig(tmp_path / "picture.png")


@pytest.mark.parametrize("shape", [(60, 90), (20, 400)])
def test_drawn_once_it_has_the_pixels_of_savefig(shape, tmp_path):
    figure_of(THRESHOLDS, shape=shape).savefig(tmp_path / "picture.png", dpi=200)
    with Image.open(tmp_path / "picture.png") as picture:
        assert np.array_equal(drawn(detection_of(THRESHOLDS, shape=shape)), picture.convert("RGB"))


def test_a_score_and_a_threshold_that_are_close_are_told_apart():
    assert decision_words(2.6447, 2.6448) == "2.6447 below 2.6448, normal"
    assert decision_words(2.0, 2.0) == "2 at or above 2, anomalous"
    assert decide(1.0, None) is None


def run(*arguments):
    return main(["detect", *map(str, arguments)])


def test_the_command_tells_by_its_exit_code(model_folder, photos, tmp_path, capsys):
    common = ("--model", model_folder, "--output", tmp_path / "out")
    assert run(photos / "bad.png", *common) == 0
    assert capsys.readouterr().out.startswith("bad.png: score ")
    assert run(photos, *common, "--no-pictures") == 1
    captured = capsys.readouterr()
    skipped = [line for line in captured.err.splitlines() if line.startswith("skipped: ")]
    assert len(skipped) == 1
    assert "torn.png: is truncated or damaged" in skipped[0]
    assert "4 photos: 3 anomalous, 1 normal" in captured.out


def test_json_on_stdout_is_the_file(model_folder, photos, tmp_path, capsys):
    assert run(photos, "--model", model_folder, "--output", tmp_path / "out", "--json", "--no-pictures") == 1
    assert capsys.readouterr().out == (tmp_path / "out/results.json").read_text()


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ("no such image", "no such image or folder"),
        ("empty folder", "holds no image"),
        ("only a broken image", "truncated or damaged"),
        ("only broken images", "no photo can be read"),
        ("no model", "no trained model here"),
        ("no model named", "give --method and --category"),
        ("two models named", "leave out --method"),
        ("unknown method", "unknown method 'dfrr': did you mean 'dfr'?"),
        ("unknown category", "did you mean 'nut'?"),
        ("unknown seed", "has no seed 99"),
        ("unknown profile", "no such params file"),
        ("output is a file", "cannot be written"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_exit_code_2(
    case, said, model_folder, photos, tmp_path, capsys, root, monkeypatch
):
    monkeypatch.chdir(root)
    empty, broken, out = tmp_path / "empty", tmp_path / "broken", tmp_path / "out"
    empty.mkdir()
    broken.mkdir()
    for name in ("x.png", "y.png"):
        (broken / name).write_bytes(b"")
    trained, pipeline = ("--model", model_folder), ("--method", "dfr", "--category", "nut")
    (tmp_path / "file").write_text("")
    arguments = {
        "no such image": (tmp_path / "nowhere.png", *trained),
        "empty folder": (empty, *trained),
        "only a broken image": (photos / "torn.png", *trained),
        "only broken images": (broken, *trained),
        "no model": (photos, "--model", empty),
        "no model named": (photos,),
        "two models named": (photos, *trained, "--method", "dfr"),
        "unknown method": (photos, "--method", "dfrr", "--category", "nut"),
        "unknown category": (photos, "--method", "dfr", "--category", "nutt"),
        "unknown seed": (photos, *pipeline, "--seed", "99"),
        "unknown profile": (photos, *pipeline, "--profile", "nowhere"),
        "output is a file": (photos / "bad.png", *trained),
    }[case]
    assert run(*arguments, "--output", tmp_path / "file" if case == "output is a file" else out) == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if line and "photo/s" not in line]
    assert len(errors) == 1
    assert said in errors[0]
    assert not out.exists()


def test_a_missing_model_says_how_to_make_it_and_which_there_are(root, monkeypatch, tmp_path):
    monkeypatch.chdir(root)
    params = load_params().model_copy(update={"reports": str(tmp_path)})
    with pytest.raises(InputError, match=r"run 'dvc repro calibrate@dfr-nut-0'; there are so far: none"):
        find_model(params, "dfr", "nut")
    there = tmp_path / "calibrate/dfr-wood-0/model.json"
    there.parent.mkdir(parents=True)
    there.write_text("{}")
    with pytest.raises(InputError, match="there are so far: dfr-wood-0"):
        find_model(params, "dfr", "nut")
    assert find_model(params, "dfr", "wood") == there.parent
    smoke = params.model_copy(update={"params_file": "profiles/smoke/params.yaml"})
    with pytest.raises(InputError, match=r"dvc repro profiles/smoke/dvc\.yaml:calibrate@dfr-nut-0"):
        find_model(smoke, "dfr", "nut")


def test_a_model_whose_scores_depend_on_the_other_photos_is_refused(model, photos, tmp_path):
    settings = TINY_SETTINGS["dmad"] | {"score_normalisation": "scored_set"}
    relative = method_class("dmad")(params_class("dmad").model_validate(settings))
    with pytest.raises(InputError, match="no score of its own"):
        detect(replace(model, method=relative), photos, tmp_path / "out")


def test_only_the_region_of_interest_counts(model, photos, tmp_path):
    region = tmp_path / "region.json"
    save_region(region, [[[0, 0], [1, 0], [1, 0.05]]])  # a corner without the defect
    free = detect(model, photos / "bad.png", tmp_path / "free", maps=True)
    confined = detect(model, photos / "bad.png", tmp_path / "confined", maps=True, region=region)
    assert confined.rows[0].score < free.rows[0].score
    assert (np.load(tmp_path / "confined" / confined.rows[0].map) == 0).mean() > 0.8
    region.write_text("{")
    with pytest.raises(InputError, match=r"region\.json"):
        detect(model, photos / "bad.png", tmp_path / "broken", region=region)


def test_only_a_few_photos_are_in_memory_at_a_time(model, photos, tmp_path, monkeypatch):
    sizes = []
    score = model.method.score
    monkeypatch.setattr(
        model.method, "score", lambda images, **rest: sizes.append(len(images)) or score(images, **rest)
    )
    many = tmp_path / "many"
    many.mkdir()
    for index in range(19):
        Image.open(photos / "good.png").save(many / f"{index}.png")
    detect(model, many, tmp_path / "out", pictures=False, progress=False)
    assert sizes == [8, 8, 3]


def run_notebook(root, tmp_path, model_folder, photos, nbrun):
    """Run 07_detect with a profile whose one model is the tiny one; return the completed process."""
    settings = yaml.safe_load((root / "params.yaml").read_text()) | {"reports": str(tmp_path), "categories": ["dots"]}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(settings))
    shutil.copytree(model_folder, tmp_path / "calibrate/dfr-dots-0")
    pairs = {"params_file": tmp_path / "params.yaml", "images": photos, "output": tmp_path / "out"}
    arguments = [
        "notebooks/07_detect.ipynb",
        tmp_path / "07.ipynb",
        *(f"{key}={value}" for key, value in pairs.items()),
    ]
    return nbrun(root, *arguments)


def test_the_notebook_shows_a_table_and_pictures(root, tmp_path, model_folder, photos, nbrun):
    done = run_notebook(root, tmp_path, model_folder, photos, nbrun)
    assert done.returncode == 0, done.stderr
    executed = nbformat.read(tmp_path / "07.ipynb", 4)
    outputs = [output for cell in executed.cells if cell.cell_type == "code" for output in cell.outputs]
    shown = [output.data for output in outputs if output.output_type in ("display_data", "execute_result")]
    assert "| bad.png |" in next(data["text/markdown"] for data in shown if "text/markdown" in data)
    assert (
        sum("data:image/png" in data.get("text/html", "") for data in shown) == 3
    )  # one normal photo, the first and the last anomalous one
    assert any("torn.png" in output.get("text", "") for output in outputs)
