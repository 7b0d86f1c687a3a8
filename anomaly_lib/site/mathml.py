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


def with_mathml(markdown: str) -> str:
    """Markdown with its ``$…$`` and ``$$…$$`` replaced by MathML; code in backticks stays. Raises ValueError."""

    def replaced(found: re.Match) -> str:
        tex = found["block"] or found["inline"]
        # without line breaks: an empty or indented line would end the HTML in the Markdown
        return found[0] if tex is None else re.sub(r"\s*\n\s*", "", mathml(tex, block=found["block"] is not None))

    return FORMULA.sub(replaced, markdown)
