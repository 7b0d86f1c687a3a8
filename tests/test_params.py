"""params.yaml: typed, frozen, unknown keys refused with the nearest valid name."""

import os

import pytest
import yaml
from pydantic import ValidationError

from anomaly_lib.base.errors import InputError
from anomaly_lib.params import load_params, params_hash, parse_params, project_root

PROFILES = ["params.yaml", *(f"profiles/{name}/params.yaml" for name in ("smoke", "thorough", "paper"))]


@pytest.fixture
def raw(root):
    return yaml.safe_load((root / "params.yaml").read_text())


@pytest.mark.parametrize("file", PROFILES)
def test_every_profile_is_valid_and_knows_its_own_place(root, file):
    params = load_params(file)
    assert params.params_file == file
    assert ((root / file).parent / params.root).resolve() == root
    assert params.reports == ("reports" if params.profile == "sample" else f"reports/{params.profile}")


def test_params_are_frozen(raw):
    with pytest.raises(ValidationError, match="frozen"):
        parse_params(raw).threads = 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"thread": 1}, "unknown key 'thread': did you mean 'threads'?"),
        ({"split": {"heldout": 0.2}}, "unknown key 'split.heldout': did you mean 'held_out'?"),
        ({"methods": {"dfr": {"epoch": 3}}}, "unknown key 'methods.dfr.epoch': did you mean 'epochs'?"),
        ({"methods": {"dfr": {"epochs": 3}}}, "methods.dfr: give either steps or epochs"),
        ({"methods": {"drf": {}}}, "unknown method 'drf': did you mean 'dfr'?"),
        ({"methods": {}}, "methods: dictionary should have at least 1 item"),
        ({"methods": None}, "methods: a mapping of method names"),
        ({"methods": {"dfr": 5}}, "methods.dfr: a mapping of settings is needed, not 5"),
        (
            {"categories": ["x$(touch evil)"]},
            "categories.0: 'x$(touch evil)' has other characters than letters, digits",
        ),
        ({"categories": ["nut", "my part"]}, "categories.1: 'my part' has other characters"),
        ({"categories": ["M8 (zinc)"]}, "categories.0: 'M8 (zinc)' has other characters"),
        ({"categories": ["-x"]}, "categories.0: '-x' begins with '.' or '-'"),
        ({"categories": ["train"]}, "categories.0: 'train' is a reserved name"),
        ({"categories": [1]}, "categories.0: input should be a valid string"),
        ({"data": "a'; touch evil; '"}, "data: \"a'; touch evil; '\" cannot stand in a command line"),
        ({"reports": "$(touch evil)"}, "reports: '$(touch evil)' cannot stand in a command line"),
        ({"seeds": [0, 0]}, "seeds: holds a value twice"),
        ({"threads": "2"}, "threads: input should be a valid integer"),
        ({"split": {"held_out": 1.5}}, "split.held_out: input should be less than 1"),
        ({"methods": {"dfr": {"preset": "best"}}}, "methods.dfr.preset: input should be 'default'"),
    ],
)
def test_bad_params_get_one_line_that_names_the_key(raw, change, message):
    with pytest.raises(InputError) as caught:
        parse_params(raw | change)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_a_missing_or_broken_file_is_named(tmp_path, root):
    with pytest.raises(InputError, match=r"nowhere\.yaml: no such params file"):
        load_params("nowhere.yaml")
    broken = tmp_path / "broken.yaml"
    broken.write_text("a: [1")
    with pytest.raises(InputError, match="not valid YAML"):
        load_params(broken)
    broken.write_text("- 1")
    with pytest.raises(InputError, match="is a mapping"):
        load_params(broken)


BROKEN = {
    "latin-1": (b"profile: \xe9", "not valid YAML in UTF-8"),
    "deep nesting": (b"a: " + b"[" * 5000, "not valid YAML in UTF-8"),
    "two equal keys": (b"data: x\nprofile: a\ndata: y\n", "line 3: key 'data' for the second time"),
    "a list as key": (b"? [a]\n: 1\n", "not valid YAML in UTF-8"),
    "an object": (b"!!python/object/apply:os.system [true]\n", "not valid YAML in UTF-8"),
    "a NUL": (b"a: \0", "not valid YAML in UTF-8"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_params_file_that_is_no_such_thing_is_one_line(tmp_path, kind):
    content, message = BROKEN[kind]
    file = tmp_path / "params.yaml"
    file.write_bytes(content)
    with pytest.raises(InputError) as caught:
        load_params(file)
    assert str(caught.value).startswith(f"{file}: {message}")
    assert "\n" not in str(caught.value)


def test_a_folder_a_pipe_and_a_loop_are_no_params_files(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    for name, message in (("", "no regular file"), ("pipe", "no regular file"), ("loop", "")):
        with pytest.raises(InputError, match=f"{tmp_path / name}: {message}"):
            load_params(tmp_path / name)


def test_a_preset_fills_only_what_is_not_written_out(raw):
    raw["methods"] = {"dfr": {"preset": "official_16", "epochs": 7}}
    dfr = parse_params(raw).methods["dfr"]
    assert (dfr.backbone, len(dfr.layers), dfr.epochs, dfr.schedule) == ("vgg19", 16, 7, "constant")


def test_params_are_found_from_any_folder_of_the_project(root, monkeypatch, tmp_path):
    monkeypatch.chdir(root / "notebooks")
    assert load_params().profile == "sample"


def test_outside_of_a_project_it_is_the_packages_own_and_never_that_of_a_named_folder(root, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert project_root() == root
    with pytest.raises(InputError, match="not inside the project"):
        project_root(tmp_path)
    (tmp_path / "data.dvc").touch()
    assert project_root() == tmp_path.resolve()


def test_the_hash_changes_with_a_value_and_only_then(raw):
    first, again = parse_params(raw), parse_params(raw)
    other = parse_params(raw | {"methods": {"dfr": {"learning_rate": 0.5}}})
    assert params_hash(first.methods["dfr"]) == params_hash(again.methods["dfr"])
    assert params_hash(first.methods["dfr"]) != params_hash(other.methods["dfr"])
