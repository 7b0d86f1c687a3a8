"""What benchmarks over whole pipelines share: a clone with the smoke profile cut down, and the bytes that it makes."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
PIPELINE = Path("profiles/smoke/dvc.yaml")


def make_clone(folder: Path, methods: list[str], categories: list[str], commit: str = "HEAD") -> None:
    """A clone, of what is committed, with the sample data and the smoke profile cut down."""
    subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", str(ROOT), str(folder)], check=True)
    subprocess.run(["git", "checkout", "--quiet", commit], cwd=folder, check=True)
    run_dvc(folder, "pull", "--quiet", "--remote", "store", "data")
    file = folder / PIPELINE.with_name("params.yaml")
    params = yaml.safe_load(file.read_text(encoding="utf-8"))
    params["methods"] = {name: params["methods"][name] for name in methods}
    params["categories"] = categories
    params["contamination"] |= {"methods": [], "categories": []}
    file.write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")


def environment() -> dict[str, str]:
    """This Python first, as an activated environment has it."""
    return os.environ | {"PATH": str(Path(sys.executable).parent) + os.pathsep + os.environ["PATH"]}


def run_dvc(folder: Path, *arguments: str) -> None:
    """Run DVC in a clone."""
    subprocess.run([sys.executable, "-m", "dvc", *arguments], cwd=folder, env=environment(), check=True)


def digests(folder: Path) -> dict[str, str]:
    """{path: MD5} of all files under the profile's reports, and of what its dvc.lock says.

    DVC puts the stages of a dvc.lock into the order in which they first ended, which is another in each run.
    """
    files = sorted(path for path in (folder / "reports/smoke").rglob("*") if path.is_file())
    contents = {path: path.read_bytes() for path in files}
    lock = folder / PIPELINE.with_name("dvc.lock")
    contents[lock] = yaml.safe_dump(yaml.safe_load(lock.read_text(encoding="utf-8"))).encode()
    return {str(path.relative_to(folder)): hashlib.md5(content).hexdigest() for path, content in contents.items()}


def differing(found: dict[str, str], expected: dict[str, str]) -> list[str]:
    """Paths whose bytes differ, or that one side lacks."""
    return [path for path in sorted(found.keys() | expected.keys()) if found.get(path) != expected.get(path)]
