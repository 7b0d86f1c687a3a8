"""TeX to MathML with what docutils brings, so that formulas need no script from the network."""

import re

from docutils.utils.math.latex2mathml import tex2mathml

# what docutils does not know, in words that it knows; a digit or letter as argument without braces it reads wrongly
PLAINER = (
    (re.compile(r"\\([td]?frac)\s*(\w)\s*(\w)"), r"\\\1{\2}{\3}"),
    (re.compile(r"\\([td]?frac)\s*(\w)\s*\{"), r"\\\1{\2}{"),
    (re.compile(r"\\(?:b|B)igg?[lr]?(?=[^A-Za-z])"), ""),
    (re.compile(r"\\dots(?![A-Za-z])"), r"\\ldots "),
    (re.compile("·"), r"\\cdot "),
    (re.compile("½"), r"\\tfrac{1}{2}"),
    (re.compile("¼"), r"\\tfrac{1}{4}"),
    (re.compile("¾"), r"\\tfrac{3}{4}"),
    (re.compile("−"), "-"),
    (re.compile("×"), r"\\times "),
)
FORMULA = re.compile(
    r"(`+)(?:(?!\1).)+\1|\$\$(?P<block>.+?)\$\$|(?<![\\$])\$(?P<inline>[^$\s](?:[^$]*?[^$\s])?)\$", re.S
)


def mathml(tex: str, block: bool = False) -> str:
    """One formula as a ``math`` element. Raises ValueError that names the formula when it cannot be read."""
    plain = tex.strip()
    for pattern, replacement in PLAINER:
        plain = pattern.sub(replacement, plain)
    try:
        return tex2mathml(plain, as_block=block)
    except Exception as error:  # docutils raises MathError, and IndexError or AttributeError on what it cannot parse
        raise ValueError(f"'{tex.strip()}': no MathML ({error}); write it with other commands") from error


def formulas_apart(markdown: str) -> tuple[str, dict[str, str]]:
    """Markdown with a mark for each ``$…$`` and ``$$…$$``, and {mark: MathML}; code in backticks stays.

    Marks instead of the MathML itself, since what turns the Markdown into HTML may drop elements that it does not
    know. Raises ValueError when a formula cannot be read.
    """
    formulas: dict[str, str] = {}

    def mark(found: re.Match) -> str:
        tex = found["block"] or found["inline"]
        if tex is None:
            return found[0]
        name = f"\N{LEFT DOUBLE ANGLE BRACKET}{len(formulas)}\N{RIGHT DOUBLE ANGLE BRACKET}"
        formulas[name] = mathml(tex, block=found["block"] is not None)
        return name

    return FORMULA.sub(mark, markdown), formulas
