"""ONNX Runtime for browsers, from npm, as scripts that a page may load from ``file://``.

A browser refuses to fetch files from a page that was opened by double click, but it runs scripts: so the engine, too,
becomes a script that holds its parts as text.
"""

import base64
import gzip
import hashlib
import json
import shutil
import subprocess
import tarfile
from pathlib import Path

from anomaly_lib.base.errors import InputError

VERSION = "1.30.0"
PACKAGE = f"onnxruntime-web@{VERSION}"
SHA512 = "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
"""As npm gives it (``npm view onnxruntime-web@VERSION dist.integrity``)."""
PARTS = {
    "ort": "package/dist/ort.wasm.min.js",
    "glue": "package/dist/ort-wasm-simd-threaded.mjs",
    "wasm": "package/dist/ort-wasm-simd-threaded.wasm",
}
"""Processor only, with SIMD: what every browser of today runs, and gives the same numbers everywhere."""


def engine_script(cache: Path) -> str:
    """The engine as a script. Fetches the package into ``cache`` unless it is there already.

    Raises InputError without npm or network, and for a package that is not the one whose digest stands above.
    """
    with tarfile.open(_package(cache)) as package:
        members = {name: package.extractfile(member) for name, member in PARTS.items()}
        parts = {name: packed(member.read()) for name, member in members.items() if member}
    return f"LIVE.engine = {json.dumps(parts)};\n"


def packed(content: bytes) -> str:
    """gzip, then base64: what ``unpacked`` in live.js takes."""
    return base64.b64encode(gzip.compress(content, 9, mtime=0)).decode()


def _package(cache: Path) -> Path:
    file = cache / f"onnxruntime-web-{VERSION}.tgz"
    if not file.is_file():
        cache.mkdir(parents=True, exist_ok=True)
        npm = shutil.which("npm")
        command = [npm or "npm", "pack", PACKAGE, "--silent", "--pack-destination", str(cache)]
        if not npm or subprocess.run(command, capture_output=True, check=False).returncode or not file.is_file():
            remedy = f"run 'npm pack {PACKAGE}' where there is npm and a network, and put the file at {file}"
            raise InputError(f"{PACKAGE}: cannot be fetched; {remedy}")
    if base64.b64encode(hashlib.sha512(file.read_bytes()).digest()).decode() != SHA512:
        raise InputError(f"{file}: is not onnxruntime-web {VERSION} as npm published it; remove it and build again")
    return file
