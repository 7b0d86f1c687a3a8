"""A new profile from one that is there, for other data: its params.yaml, comments included, and the dvc.yaml."""

import json
import re
import shutil
from pathlib import Path

import yaml

from anomaly_lib.base.errors import InputError
from anomaly_lib.base.files import replacing
from anomaly_lib.base.names import printable, why_name_is_refused
from anomaly_lib.data.folder import GOOD
from anomaly_lib.params import load_params, load_profile, parse_params, project_root


def run(name: str, like: str | None, data: str, categories: list[str] | None, textures: str | None) -> int:
    """The command ``python -m anomaly_lib profile``."""
    folder = make_profile(name, like, data, categories, textures)
    params = load_profile(name)
    print(f"{folder}: {', '.join(params.methods)} on {', '.join(params.categories)} of {params.data}")
    print(f"look through {folder}/params.yaml, then: make repro PROFILE={name}")
    return 0


def make_profile(
    name: str, like: str | None, data: str, categories: list[str] | None = None, textures: str | None = None
) -> Path:
    """Write profiles/NAME and return its folder, from the root.

    ``like`` names the profile that gives all settings, None the root profile; ``categories`` are those with normal
    training images in the folder ``data`` unless they are given. Raises InputError for a name that is refused or
    taken, a profile that is not there, and a folder without a category.
    """
    root = project_root()
    if reason := why_name_is_refused(name):
        raise InputError(f"--name: '{name}' {reason}; choose another name")
    folder = Path("profiles", name)
    if (root / folder).exists():
        raise InputError(f"{folder}: is there already; choose another name, or remove it")
    found = categories or sorted(path.parent.parent.name for path in (root / data).glob(f"*/train/{GOOD}"))
    if not found:
        raise InputError(f"{root / data}: holds no category; 'python -m anomaly_lib data ingest' puts photos there")
    for value in (data, *found, textures or ""):
        if printable(value) != value:
            raise InputError(f"'{printable(value)}': not a name that params.yaml can hold; rename it, or name another")
    changed = {"profile": name, "root": "../..", "params_file": f"{folder}/params.yaml", "reports": f"reports/{name}"}
    changed |= {"data": data, "categories": found, "published_as": None} | ({"textures": textures} if textures else {})
    source = Path("profiles", like, "params.yaml") if like else Path("params.yaml")
    load_params(source)
    text = (root / source).read_text(encoding="utf-8")
    parse_params(yaml.safe_load(text) | changed)  # before anything is written
    text = re.sub(r"\A(#.*\n)+", f"# Profile {name}: the settings of profile {like or 'sample'}, for {data}.\n", text)
    for key, value in changed.items():  # JSON is YAML, whatever a category is called
        line = f"{key}: {json.dumps(value, ensure_ascii=False)}".replace("\\", r"\\")
        text = re.sub(rf"^{key}:.*$", line, text, count=1, flags=re.M)
    with replacing(root / folder / "params.yaml") as temporary:
        temporary.write_text(text, encoding="utf-8")
    shutil.copyfile(root / "dvc.yaml", root / folder / "dvc.yaml")
    return folder
