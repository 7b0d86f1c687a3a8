"""The authors' checkpoints: in, out, and back to the same maps; anything else is refused and leaves nothing behind."""

import copy
import json
import pickle

import pytest
import timm
import torch

from anomaly_lib.base.errors import InputError
from anomaly_lib.cli import main
from anomaly_lib.data import load_category
from anomaly_lib.data.tensors import load_images
from anomaly_lib.evaluation import evaluate
from anomaly_lib.figures.demo import DemoImage, frame
from anomaly_lib.figures.images import map_rows
from anomaly_lib.figures.results import score_histogram
from anomaly_lib.figures.style import on_fixed_scale
from anomaly_lib.methods import backbones, official
from anomaly_lib.methods.checkpoints import load_model, save_model
from anomaly_lib.methods.dfr.network import FeatureAutoencoder
from anomaly_lib.methods.dmad.bottleneck import Bottleneck, Decoder
from anomaly_lib.methods.dmad.offset import OffsetNetwork
from anomaly_lib.methods.draem.network import DraemNetworks, initialise
from anomaly_lib.methods.official import export_official, import_official
from anomaly_lib.registry import METHODS, method_class, params_class
from tests.conftest import TINY_SETTINGS
from tests.helpers import close_to

WITH_AUTHORS_FILES = ("draem", "dfr", "dmad")  # a further method need not have any
SMALL = {"image_size": 64, "reconstructive_width": 8, "discriminative_width": 8}


@pytest.fixture(scope="module")
def draem_pair(tmp_path_factory):
    """A pair of files in the authors' naming, of small random networks."""
    torch.manual_seed(0)
    networks = DraemNetworks(8, 8)
    initialise(networks)
    folder = tmp_path_factory.mktemp("draem")
    torch.save(networks.reconstructive.state_dict(), folder / "DRAEM_test_0.0001_800_bs8_dots_.pckl")
    torch.save(networks.discriminative.state_dict(), folder / "DRAEM_test_0.0001_800_bs8_dots__seg.pckl")
    return folder / "DRAEM_test_0.0001_800_bs8_dots_.pckl"


@pytest.fixture(scope="module")
def dfr_file(tmp_path_factory):
    """An ``autoencoder.pth`` of the authors' size, random, with batch statistics that are not 0 and 1."""
    torch.manual_seed(0)
    autoencoder = FeatureAutoencoder(3456, 5)
    autoencoder(torch.randn(2, 3456, 4, 4))
    file = tmp_path_factory.mktemp("dfr") / "autoencoder.pth"
    torch.save({"autoencoder": autoencoder.state_dict()}, file)
    return file


def test_imported_models_see_photos_as_their_authors_resize_them(draem_pair):
    assert official.import_draem([draem_pair]).image_resize == "bilinear"
    assert {m: params_class(m)().image_resize for m in METHODS} == dict.fromkeys(METHODS, "antialiased")


@pytest.fixture(scope="module")
def images(tiny_data):
    return load_images(load_category(tiny_data, "dots").test[:2], 64)


def command(name, *arguments):
    return main([name, *map(str, arguments)])


def test_the_published_methods_read_and_write_their_authors_files():
    assert set(WITH_AUTHORS_FILES) <= set(METHODS)
    for name in WITH_AUTHORS_FILES:
        assert all(callable(getattr(official, f"{verb}_{name}")) for verb in ("load", "import", "export"))


def cut_from(network):
    """Loads layers of this network, whatever is asked for."""
    return lambda name, layers, weights: backbones._cut(name, copy.deepcopy(network), layers)


@pytest.fixture
def quick_vgg19(vgg19_weights, monkeypatch):
    """The random VGG19, built once: timm spends seconds on a classifier that nobody uses."""
    network = timm.create_model("vgg19", pretrained=False)
    network.load_state_dict(torch.load(vgg19_weights), strict=False)
    network.head = network.pre_logits = torch.nn.Identity()
    monkeypatch.setattr(backbones, "_load_network", cut_from(network))
    return vgg19_weights


def test_dfr_comes_back_the_same_bit_for_bit(dfr_file, quick_vgg19, images, tmp_path):
    imported = import_official("dfr", [dfr_file], tmp_path / "model", weights=quick_vgg19)
    assert (imported.method.params.preset, imported.method.params.latent) == ("official_12", 5)
    assert imported.method.image_resize == "nearest"
    (exported,) = export_official(tmp_path / "model", tmp_path / "out")
    assert exported == tmp_path / "out/autoencoder.pth"
    before, after = (official.load_dfr(file).state_dict() for file in (dfr_file, exported))
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())
    small, again = (
        import_official("dfr", [file], tmp_path / "small", weights=quick_vgg19, image_size=64).method
        for file in (dfr_file, exported)
    )
    maps = small.score(images[:1]).maps
    assert torch.equal(again.score(images[:1]).maps, maps)
    features = small.features(images[:1])
    with torch.no_grad():
        error = (official.load_dfr(dfr_file)(features) - features).square().mean(dim=1)
    close_to(maps, error, 1e-6)


def test_dmad_comes_back_the_same_bit_for_bit(images, tmp_path, monkeypatch):
    torch.manual_seed(0)
    teacher = timm.create_model("wide_resnet50_2", pretrained=False)
    monkeypatch.setattr(backbones, "_load_network", cut_from(teacher))
    channels = (256, 512, 1024)
    networks = {"offset": OffsetNetwork(), "bn": Bottleneck(channels), "decoder": Decoder(2048, channels)}
    torch.save({name: network.state_dict() for name, network in networks.items()}, tmp_path / "nut.pth")
    imported = import_official("dmad", [tmp_path / "nut.pth"], tmp_path / "model", "nut")
    (exported,) = export_official(tmp_path / "model", tmp_path / "out")
    assert exported == tmp_path / "out/nut.pth"
    again = official.import_dmad([exported], None)
    image = torch.nn.functional.interpolate(images[:1], 256)
    assert torch.equal(imported.method.score(image).maps, again.score(image).maps)


@pytest.mark.parametrize("order", ["bgr", "rgb"])
def test_draem_comes_back_the_same_whatever_order_it_saw(order, images, tmp_path):
    torch.manual_seed(0)
    networks = DraemNetworks(8, 8)
    settings = SMALL | {"preset": "official", "channel_order": order}
    method = method_class("draem")(params_class("draem").model_validate(settings), 0)
    method.load_state_dict(networks.state_dict())
    save_model(tmp_path / "model", method, "nut", {})
    first, second = export_official(tmp_path / "model", tmp_path / "out")
    assert first.name == "DRAEM_test_0.0001_700_bs8_nut_.pt"
    assert second.name == "DRAEM_test_0.0001_700_bs8_nut__seg.pt"
    back = import_official("draem", [first], tmp_path / "back", image_size=64).method
    scored, again = method.score(images), back.score(images)
    if order == "bgr":
        assert torch.equal(scored.maps, again.maps)
    else:  # the channels are added up in another order
        close_to(scored.maps, again.maps, 2e-6)
    assert (scored.maps - method.score(images.flip(1)).maps).abs().max() > 1e-4, "the order matters to this model"


@pytest.mark.parametrize("name", ["dfr", "dmad"])
def test_a_model_that_the_authors_files_cannot_hold_is_not_exported(name, tiny_data, tmp_path):
    method = method_class(name)(params_class(name).model_validate(TINY_SETTINGS[name] | {"steps": 1}), 0)
    method.fit(load_images(load_category(tiny_data, "dots").train[:4], 64), progress=False)
    save_model(tmp_path / "model", method, "dots", {})
    with pytest.raises(InputError, match=r"image_size 64, the authors' files take 256 for granted; train with preset"):
        export_official(tmp_path / "model", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_export_replaces_no_file(draem_pair, tmp_path, capsys):
    import_official("draem", [draem_pair], tmp_path / "model", "dots")
    assert command("export-official", tmp_path / "model", "--output", tmp_path / "out") == 0
    assert capsys.readouterr().out.count("wrote ") == 2
    before = {file: file.read_bytes() for file in (tmp_path / "out").iterdir()}
    assert command("export-official", tmp_path / "model", "--output", tmp_path / "out") == 2
    assert "already there" in capsys.readouterr().err
    assert {file: file.read_bytes() for file in (tmp_path / "out").iterdir()} == before


def test_a_category_with_a_path_in_it_does_not_lead_out_of_the_folder(draem_pair, tmp_path):
    import_official("draem", [draem_pair], tmp_path / "model", "../../outside")
    with pytest.raises(InputError, match="cannot be part of a file name"):
        export_official(tmp_path / "model", tmp_path / "out")


def test_imported_without_data_it_detects_without_deciding(draem_pair, tiny_data, tmp_path, capsys):
    arguments = (draem_pair, "--output", tmp_path / "model", "--image-size", 64)
    assert command("import-official", "draem", *arguments) == 0
    assert "no thresholds" in capsys.readouterr().out
    photo = tiny_data / "dots/test/square/000.png"
    assert command("detect", photo, "--model", tmp_path / "model", "--output", tmp_path / "out", "--json") == 0
    found = json.loads(capsys.readouterr().out)["images"][0]
    assert 0 <= found["score"] <= 1
    assert (found["threshold"], found["decision"]) == (None, None)


def test_imported_with_data_it_decides_and_says_on_which_images(draem_pair, tiny_data, tmp_path, capsys):
    thresholds = ("--data", tiny_data, "--category", "dots", "--image-size", 64)
    assert command("import-official", "draem", draem_pair, "--output", tmp_path / "model", *thresholds) == 0
    assert "may have been trained on" in capsys.readouterr().out
    model = load_model(tmp_path / "model")
    normals = model.method.score(load_images(load_category(tiny_data, "dots").train, 64))
    assert model.thresholds["image"] > normals.scores.max()  # 5 % of 10 images is none
    assert model.thresholds["normal_images"] == 10
    assert "held_out_images" not in model.thresholds
    photo = tiny_data / "dots/test/square/000.png"
    assert command("detect", photo, "--model", tmp_path / "model", "--output", tmp_path / "out", "--json") == 0
    assert json.loads(capsys.readouterr().out)["images"][0]["decision"] in ("normal", "anomalous")


def test_what_evaluation_and_report_draw_copes_without_thresholds(draem_pair, images, tmp_path):
    model = import_official("draem", [draem_pair], tmp_path, image_size=64)
    scored, thresholds = model.method.score(images), model.thresholds
    labels = [0, 1]
    metrics = evaluate(scored.scores, labels, scored.maps, image_threshold=thresholds["image"])
    assert metrics["image_auroc"] is not None
    assert metrics["undefined"]["image_f1"] == "no image threshold was given"
    maps = scored.maps.numpy()
    axis = score_histogram(scored.scores.numpy(), torch.tensor(labels).numpy(), thresholds["image"], "t").axes[0]
    assert not axis.lines
    figure = map_rows(images.numpy(), maps, None, ["a", "b"], thresholds)
    assert figure.axes[2].get_title() == "no pixel threshold"
    shown = on_fixed_scale(maps, thresholds)
    assert (shown.min(), shown.max()) == pytest.approx((0, 2))
    demo = DemoImage(images[0].numpy(), None, shown[0], "good", 0.5, thresholds["image"])
    assert demo.outcome == "no decision"
    assert frame(demo, "x").width > 3 * 64


class _Harmful:
    def __reduce__(self):
        return (open, ("harm.txt", "w"))


def _contents(draem_pair, dfr_file):
    return {
        "a pickle with code": pickle.dumps({"autoencoder": _Harmful()}),
        "a torn file": draem_pair.read_bytes()[:5000],
        "an empty file": b"",
        "the file of another method": (draem_pair, dfr_file),
        "a list": [1, 2],
        "numbers instead of tensors": {"encoder.0.weight": 3, "decoder.0.weight": 4},
        "another width": {"autoencoder": FeatureAutoencoder(48, 7).state_dict()},
    }


@pytest.mark.parametrize("method", ["dfr", "dmad", "draem"])
@pytest.mark.parametrize(
    "kind",
    [
        "a pickle with code",
        "a torn file",
        "an empty file",
        "the file of another method",
        "a list",
        "numbers instead of tensors",
        "another width",
    ],
)
def test_other_files_are_refused_in_one_line_and_nothing_is_written(
    method, kind, draem_pair, dfr_file, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    content = _contents(draem_pair, dfr_file)[kind]
    if isinstance(content, tuple):
        content = (content[1] if method == "draem" else content[0]).read_bytes()
    for name in ("model.pth", "model_seg.pth"):
        if isinstance(content, bytes):
            (tmp_path / name).write_bytes(content)
        else:
            torch.save(content, tmp_path / name)
    assert command("import-official", method, "model.pth", "--output", "out") == 2
    error = capsys.readouterr().err
    assert error.startswith("error: model.pth: ")
    assert len(error.splitlines()) == 1
    assert {file.name for file in tmp_path.iterdir()} == {"model.pth", "model_seg.pth"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("simplenet", "x.pth"), "the authors' files of 'simplenet' are not known here: valid: dfr"),
        (("dfr", "nowhere.pth"), "nowhere.pth: no such checkpoint"),
        (("dfr", "a.pth", "b.pth"), "DFR needs one file, autoencoder.pth; got 2"),
        (("dfr", "DFR", "--weights", "nowhere.pth"), "nowhere.pth: no such weight file"),
        (("draem", "DRAEM", "--data", "."), "--data needs --category"),
        (("draem", "DRAEM", "--data", "nowhere", "--category", "nut"), "no such data folder"),
        (("draem", "DRAEM", "--image-size", "65"), "image size 65: 65 is not a multiple of 32"),
        (("draem", "DRAEM", "--output", "file"), "cannot be written"),
    ],
)
def test_bad_arguments_are_one_line(arguments, said, draem_pair, dfr_file, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    files = {"DRAEM": str(draem_pair), "DFR": str(dfr_file)}
    arguments = [files.get(argument, argument) for argument in arguments]
    assert command("import-official", *([] if "--output" in arguments else ["--output", "out"]), *arguments) == 2
    error = capsys.readouterr().err
    assert said in error
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_a_model_that_was_trained_here_is_not_replaced_by_an_imported_one(draem_pair, tmp_path):
    imported = import_official("draem", [draem_pair], tmp_path / "imported", image_size=64)
    import_official("draem", [draem_pair], tmp_path / "imported")
    save_model(tmp_path / "trained", imported.method, "nut", {"image": 1.0, "pixel": 1.0, "pixel_median": 0.0})
    with pytest.raises(InputError, match="trained here; choose another --output"):
        import_official("draem", [draem_pair], tmp_path / "trained")
