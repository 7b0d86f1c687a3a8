"""One way of computing on every x86-64 processor with AVX2: what sets it, what proves it, and what would break it."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from anomaly_lib.base import numerics
from anomaly_lib.base.errors import InputError
from anomaly_lib.methods.draem.method import Draem
from anomaly_lib.registry import params_class
from anomaly_tools import digest

RECORDS = sorted((Path(__file__).parent / "data/portability").glob("*.json"))

# Functions of torch that MKL computes with approximations of its own on each maker's processors, found by running them
# on an emulated Intel Haswell (docs/portability.md). Adam's square root is one of them unless it is fused.
NOT_PORTABLE = {"sqrt", "sqrt_", "cdist", "log2", "log10", "tan", "atan", "asin", "acos"}
OPTIMIZERS = {"Adam", "AdamW"}
READERS = {"numpy", "torch", "torchvision", "timm", "kornia", "torchmetrics", "matplotlib", "scipy", "PIL", "anomalib"}
"""Packages that read how to compute from the environment when they load, or load one that does."""


def in_new_process(code: str, **variables: str) -> subprocess.CompletedProcess:
    """Run Python code without what this process has chosen, but with ``variables``."""
    clean = {k: v for k, v in os.environ.items() if k not in numerics.PORTABLE and k != numerics.MODE}
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=clean | variables
    )


def test_this_process_computes_the_committed_bits():
    """On any x86-64 processor with AVX2: operations, their gradients, and a short training of each method."""
    if not numerics.has_avx2():
        pytest.skip("the committed bits are those of x86-64 processors with AVX2")
    assert numerics.late() is None
    assert digest.differing() == []


@pytest.mark.parametrize("record", RECORDS, ids=lambda file: file.stem)
def test_processors_seen_so_far_gave_the_committed_bits(record):
    known = json.loads(record.read_text(encoding="utf-8"))
    assert known["environment"] == numerics.PORTABLE
    assert known["digests"] == digest.expected()


def test_more_than_one_kind_of_processor_is_recorded():
    processors = {json.loads(file.read_text(encoding="utf-8"))["processor"] for file in RECORDS}
    assert len(processors) > 2


def test_importing_the_library_first_sets_the_variables_and_a_shell_cannot_change_them():
    code = "import anomaly_lib, os; print(os.environ['MKL_CBWR'], os.environ['ATEN_CPU_CAPABILITY'])"
    shown = in_new_process(code, MKL_CBWR="AVX512", ATEN_CPU_CAPABILITY="avx512").stdout
    assert shown == ("COMPATIBLE avx2\n" if numerics.has_avx2() else "AVX512 avx512\n")


def test_native_leaves_the_processor_alone_also_below_a_portable_process():
    code = "import anomaly_lib, os; print([n for n in anomaly_lib.base.numerics.PORTABLE if n in os.environ])"
    assert in_new_process(code, ANOMALY_NUMERICS="native").stdout == "[]\n"
    assert in_new_process(code, ANOMALY_NUMERICS="native", **numerics.PORTABLE).stdout == "[]\n"


def test_an_unknown_mode_is_refused(monkeypatch):
    monkeypatch.setenv(numerics.MODE, "fast")
    with pytest.raises(InputError, match="ANOMALY_NUMERICS: 'fast' is neither portable nor native"):
        numerics.mode()


def test_torch_loaded_too_early_is_said_with_the_remedy():
    if "AVX-512" not in numerics.processor():
        pytest.skip("this processor has no other way of computing")
    code = """
import torch, numpy
torch.rand(3).exp()  # now torch has chosen
from anomaly_lib.base.reproducibility import make_deterministic
make_deterministic(1)
"""
    warned = in_new_process(code).stderr
    assert "torch and NumPy loaded before anomaly_lib" in warned
    assert "make lab" in warned


def test_draem_trains_in_float32_unless_numerics_are_native(monkeypatch):
    method = Draem(params_class("draem").model_validate({}), 0)
    assert method._in_bf16() is False
    monkeypatch.setenv(numerics.MODE, "native")
    assert method._in_bf16() == any(
        torch.cpu.get_capabilities().get(name, False) for name in ("avx512_bf16", "amx_bf16")
    )


@pytest.mark.parametrize("file", [*Path("anomaly_lib/methods").rglob("*.py")], ids=str)
def test_methods_call_nothing_that_a_makers_processors_approximate(root, file):
    tree = ast.parse((root / file).read_text(encoding="utf-8"))
    for call in (
        node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    ):
        owner = call.func.value.id if isinstance(call.func.value, ast.Name) else ""
        if call.func.attr in OPTIMIZERS:
            assert any(k.arg == "fused" and k.value.value is True for k in call.keywords), f"line {call.lineno}"
        assert owner in ("math", "np") or call.func.attr not in NOT_PORTABLE, f"line {call.lineno}"


def imported(code: str) -> list[str]:
    """The packages that a piece of code imports, in its order."""
    statements = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Import | ast.ImportFrom)]
    modules = [[s.module] if isinstance(s, ast.ImportFrom) else [a.name for a in s.names] for s in statements]
    return [name.split(".")[0] for names in modules for name in names]


@pytest.mark.parametrize(
    "file", [*Path("notebooks").rglob("*.ipynb"), *Path("benchmarks").glob("*.py"), Path("tests/conftest.py")], ids=str
)
def test_what_people_start_imports_the_library_first(root, file):
    text = (root / file).read_text(encoding="utf-8")
    if file.suffix == ".ipynb":
        cells = [cell["source"] for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
        text = "\n".join("".join(cell) for cell in cells)
    packages = imported("\n".join(line for line in text.splitlines() if not line.startswith(("%", "!"))))
    decisive = [name for name in packages if name in READERS or name.startswith("anomaly_")]
    assert not {*decisive[:1]} & READERS, f"{decisive[0]} loads before anomaly_lib"
