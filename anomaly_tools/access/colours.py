"""Colours in the library's code and style sheets: colour maps, contrast of text, red against green."""

import ast
import colorsys
import re
from collections.abc import Iterator
from pathlib import Path

from matplotlib.colors import is_color_like, to_rgb

from anomaly_tools.access.finding import Finding

ALLOWED_MAPS = {"magma", "cividis", "viridis", "gray"}
LEAST_CONTRAST = 4.5  # WCAG 2.2, 1.4.3, text of ordinary size
WORDS = {"text", "annotate", "set_title", "suptitle", "supxlabel", "supylabel", "set_xlabel", "set_ylabel", "Text"}
"""Calls that write: their colour is one of text."""


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours by WCAG 2.2, 1 to 21."""
    light, dark = sorted((_luminance(to_rgb(colour)) for colour in (one, other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def constants(trees: list[ast.Module]) -> dict[str, list[str]]:
    """{name: colours} of the constants in capitals that hold colours, or names of colour maps."""
    found: dict[str, list[str]] = {}
    for tree in trees:
        for node in tree.body:
            if not isinstance(node, ast.Assign):
                continue
            for target in node.targets:
                paired = isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple)
                names, values = (target.elts, node.value.elts) if paired else ([target], [node.value])
                for name, value in zip(names, values, strict=False):
                    texts = [n for n in ast.walk(value) if isinstance(n, ast.Constant) and isinstance(n.value, str)]
                    referred = [c for n in ast.walk(value) if isinstance(n, ast.Name) for c in found.get(n.id, [])]
                    if isinstance(name, ast.Name) and name.id.isupper():
                        found[name.id] = [text.value for text in texts] + referred
    return found


def check_code(tree: ast.Module, file: Path, known: dict[str, list[str]]) -> Iterator[Finding]:
    """Findings in one module: colour maps that are not allowed, text too faint for white, red with green alone."""
    for node in ast.walk(tree):
        for name in _maps(node, known):
            if name.removesuffix("_r") not in ALLOWED_MAPS:
                yield Finding(
                    file, str(node.lineno), "colours", f"colour map {name}; take {', '.join(sorted(ALLOWED_MAPS))}"
                )
        for colour in _text_colours(node, known):
            ratio = contrast(colour, "white")
            if to_rgb(colour) != (1, 1, 1) and ratio < LEAST_CONTRAST:
                yield Finding(
                    file, str(node.lineno), "contrast", f"text in {colour} has {ratio:.1f} on white; needs 4.5"
                )
        if isinstance(node, ast.FunctionDef):
            yield from _check_red_green(node, file, known)


def check_style_sheet(text: str, file: Path) -> Iterator[Finding]:
    """Text colours of CSS against the background of the same rule, or white."""
    for rule in re.findall(r"\{([^{}]*)\}", text):
        colour = re.search(r"(?<![-\w])color:\s*(#[0-9a-fA-F]{3,6})", rule)
        behind = re.search(r"background(?:-color)?:\s*(#[0-9a-fA-F]{3,6})", rule)
        if colour and (ratio := contrast(colour[1], behind[1] if behind else "#ffffff")) < LEAST_CONTRAST:
            yield Finding(file, "style", "contrast", f"{colour[1]} has {ratio:.1f}; needs 4.5")


def _maps(node: ast.AST, known: dict[str, list[str]]) -> list[str]:
    if isinstance(node, ast.Subscript) and getattr(node.value, "attr", getattr(node.value, "id", "")) == "colormaps":
        return _values(node.slice, known)
    if not isinstance(node, ast.Call):
        return []
    if getattr(node.func, "attr", "") == "get_cmap":
        return _values(node.args[0], known)
    named = [value for keyword in node.keywords if keyword.arg == "cmap" for value in _values(keyword.value, known)]
    # imshow(image, cmap): the second argument
    second = _values(node.args[1], known) if getattr(node.func, "attr", "") == "imshow" and len(node.args) > 1 else []
    return named + second


def _text_colours(node: ast.AST, known: dict[str, list[str]]) -> list[str]:
    """Colours of words; white is left out, which stands on pictures."""
    if isinstance(node, ast.Dict):  # a style that is handed on
        keys = {
            key.value: value for key, value in zip(node.keys, node.values, strict=True) if isinstance(key, ast.Constant)
        }
        return _colours(keys["color"], known) if "color" in keys and "fontsize" in keys else []
    if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in WORDS:
        boxed = any(keyword.arg in ("bbox", "path_effects") for keyword in node.keywords)
        return [] if boxed else [c for k in node.keywords if k.arg == "color" for c in _colours(k.value, known)]
    return []


def _check_red_green(function: ast.FunctionDef, file: Path, known: dict[str, list[str]]) -> Iterator[Finding]:
    used = {c for node in ast.walk(function) for c in _colours(node, known)}
    if any(map(_is_red, used)) and any(map(_is_green, used)):
        yield Finding(
            file, str(function.lineno), "red-green", f"{function.name}: red beside green; take blue and vermilion"
        )


def _is_red(colour: str) -> bool:
    hue, _, strength = _hue(colour)
    return strength > 0.4 and (hue < 0.05 or hue > 0.95)


def _is_green(colour: str) -> bool:
    hue, _, strength = _hue(colour)
    return strength > 0.4 and 0.22 < hue < 0.45


def _hue(colour: str) -> tuple[float, float, float]:
    hue, lightness, saturation = colorsys.rgb_to_hls(*to_rgb(colour))
    return hue, lightness, saturation


def _values(node: ast.AST, known: dict[str, list[str]]) -> list[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value]
    return known.get(node.id, []) if isinstance(node, ast.Name) else []


def _colours(node: ast.AST, known: dict[str, list[str]]) -> list[str]:
    node = node.value if isinstance(node, ast.Subscript) else node
    return [value for value in _values(node, known) if len(value) > 1 and is_color_like(value)]


def _luminance(rgb: tuple[float, float, float]) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
