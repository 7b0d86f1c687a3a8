"""What several test files assert: of widgets, of notebooks in git, of files that are refused."""

import ast
import copy
import importlib.util
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
import torch
import yaml

from anomaly_lib.base.errors import InputError
from anomaly_lib.pipeline.nbstrip import canonical_source
from anomaly_tools.access.notebooks import check_outputs
from anomaly_tools.site.slides import slide_page
from anomaly_tools.site.verify import Page
from tests.conftest import GOLDEN

# A small DVC pipeline: first, then left and right, then last. The fixture `repository` holds it.
STAGES = {
    "first": {"cmd": "echo 1 > first.txt", "deps": ["input.txt"], "outs": ["first.txt"]},
    "left": {"cmd": "cat first.txt input.txt > left.txt", "deps": ["first.txt"], "outs": ["left.txt"]},
    "right": {"cmd": "cat first.txt > right.txt", "deps": ["first.txt"], "outs": ["right.txt"]},
    "last": {"cmd": "cat left.txt right.txt > last.txt", "deps": ["left.txt", "right.txt"], "outs": ["last.txt"]},
}


def write_stages(stages: dict, folder: Path = Path()) -> None:
    """Write dvc.yaml."""
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))


def golden_state(name: str, seed: int) -> dict[str, torch.Tensor]:
    """The state dict ``name`` of the golden files, in the authors' key names, filled as for their golden vectors."""
    spec = importlib.util.spec_from_file_location("golden_fill", GOLDEN / "fill.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.fill(json.loads((GOLDEN / "state_dicts.json").read_text())[name], seed)


def close_to(actual: Any, expected: Any, bound: float) -> None:
    """Assert equal shapes and dtypes, and no difference larger than ``bound`` times the scale of ``expected``.

    The scale is its largest absolute value. The rounding error of a float32 sum goes with the size of its terms, not
    with the sum: where terms cancel, a value near zero has no relative accuracy, and another processor, which adds up
    in another order, moves it as far as any other value. So one absolute distance, in units of the array, holds for
    all values. Between zeros, and for a NaN or an infinite value on either side, no distance is allowed.
    """
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert (actual.shape, actual.dtype) == (expected.shape, expected.dtype)
    assert expected.size, "there is nothing to compare"
    assert np.isfinite(expected).all(), "what is expected is not finite"
    apart, scale = np.abs(actual.astype(np.float64) - expected), float(np.abs(expected).max())
    worst = np.unravel_index(apart.argmax(), apart.shape)  # a NaN counts as the largest
    assert apart[worst] <= bound * scale, (
        f"off by {apart[worst] / scale if scale else np.inf:.2g} of the scale {scale:.4g}, more than {bound:.2g}, "
        f"at {tuple(map(int, worst))}: {actual[worst]:.7g} instead of {expected[worst]:.7g}"
    )


def widget_parts(widget):
    """Controls, reset button and picture of what ``picture_with_controls`` gives."""
    controls, picture = widget.children
    *moving, reset, _ = controls.children
    return moving, reset, picture


def other_value(control):
    """A value that the control does not have now."""
    if isinstance(control.value, bool):
        return not control.value
    if hasattr(control, "options"):
        return next(value for value in control.options if value != control.value)
    # the last test image of the tiny data has a defect, so that its outline can be switched off
    return control.max if control.value != control.max else control.min


def assert_controls_change_the_picture_and_reset_restores_it(widget, choose: Callable = other_value) -> None:
    """One to three controls; each changes the picture when it gets the value that ``choose`` names."""
    moving, reset, picture = widget_parts(widget)
    assert 1 <= len(moving) <= 3
    first = picture.value
    for control in moving:
        before = picture.value
        control.value = choose(control)
        assert picture.value != before, control.description
    reset.click()
    assert picture.value == first


def assert_the_picture_has_words(widget) -> None:
    """More of them than a label."""
    assert len(re.search(r'<img alt="([^"]+)"', widget_parts(widget)[2].value)[1]) > 20


def assert_a_check_tells_right_from_wrong(check: Callable, right: Callable, wrong: Callable, capsys) -> str:
    """It accepts an answer written in another way, refuses a likely mistake, and knows a stub; what it said of the
    mistake comes back."""
    assert check(right)
    assert not check(wrong)
    said = capsys.readouterr().out
    assert not check(lambda *arguments: ...)
    assert "not begun" in capsys.readouterr().out
    return said


def functions_called(notebook, name: str) -> list[ast.Call]:
    """The calls of a function in a notebook's code, in order."""
    trees = [ast.parse(cell.source) for cell in notebook.cells if cell.cell_type == "code"]
    calls = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == name]


def assert_reads_without_a_kernel(executed, file: Path) -> None:
    """Every picture of an executed notebook has words, every widget a picture, and its slides fetch nothing."""
    assert [str(finding) for finding in check_outputs(executed, file)] == []
    for position, cell in enumerate(executed.cells):
        for data in (output.get("data", {}) for output in cell.get("outputs", [])):
            if re.match(r"\w+\(.*children=", data.get("text/plain", "")):
                words = data.get("text/html", "")
                assert "<img alt=" in words or 'class="prediction"' in words, f"cell {position}: empty without a kernel"
    page = Page(slide_page(copy.deepcopy(executed)))
    assert page.bare_images == []
    assert page.widgets == 0
    assert all(address.startswith("data:") for address in page.fetched)


def run_notebook(file: Path, **parameters: str) -> dict[str, Any]:
    """Run a notebook's code in this process, where torch is loaded already; its variables come back."""
    namespace = {}
    for cell in nbformat.read(file, 4).cells:
        if cell.cell_type == "code":
            exec(compile(cell.source, file.name, "exec"), namespace)
            if "parameters" in cell.metadata.get("tags", []):
                namespace |= parameters
    plt.close("all")
    return namespace


def assert_stripped(file: Path) -> None:
    """The notebook is in git as ``nbstrip`` leaves it."""
    text = file.read_text()
    assert json.loads(nbformat.writes(canonical_source(nbformat.reads(text, 4)))) == json.loads(text)


def assert_refused_in_one_line(load: Callable[[Path], Any], file: Path, content: Any) -> None:
    """``load(file)`` names the file in one line; the content is bytes, or what torch saves, or None for no file."""
    if isinstance(content, bytes):
        file.write_bytes(content)
    elif content is not None:
        torch.save(content, file)
    with pytest.raises(InputError) as caught:
        load(file)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)
