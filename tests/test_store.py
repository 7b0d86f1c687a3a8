"""The store inside the repository holds the sample set, byte for byte, and nothing else."""

import hashlib
import json
import multiprocessing
import os
import subprocess
from concurrent.futures import ProcessPoolExecutor

import pytest
import yaml

from anomaly_tools.sample import encode, plan

STORE = "dvcstore/files/md5"


@pytest.fixture(scope="module")
def tree(root):
    """The hash of the tree of data/, as the committed data.dvc names it."""
    text = subprocess.run(["git", "show", "HEAD:data.dvc"], cwd=root, capture_output=True, text=True, check=True).stdout
    return yaml.safe_load(text)["outs"][0]["md5"]


@pytest.fixture(scope="module")
def manifest(root, tree):
    """{path below data/: MD5} of what data.dvc names, from the store."""
    entries = json.loads((root / STORE / tree[:2] / tree[2:]).read_text())
    return {entry["relpath"]: entry["md5"] for entry in entries}


def test_the_sample_set_is_rendered_to_the_stored_bytes(manifest):
    # "spawn": forking a process in which torch already runs threads can hang
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), mp_context=context) as pool:
        rendered = dict(pair for pairs in pool.map(hashes, plan(), chunksize=8) for pair in pairs)
    assert rendered == manifest


def hashes(item):
    """[(path, MD5)] of the files of one item of the plan."""
    return [(path, hashlib.md5(content).hexdigest()) for path, content in encode(item).items()]


def test_git_holds_these_files_and_no_others(root, manifest, tree):
    listed = subprocess.run(["git", "ls-files", STORE], cwd=root, capture_output=True, text=True, check=True)
    wanted = {f"{STORE}/{digest[:2]}/{digest[2:]}" for digest in [*manifest.values(), tree]}
    assert set(listed.stdout.split()) == wanted


def test_the_store_keeps_within_its_budget(root):
    assert sum(file.stat().st_size for file in (root / STORE).rglob("*") if file.is_file()) < 20e6
