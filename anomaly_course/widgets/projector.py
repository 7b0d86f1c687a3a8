"""Large type for a projector. Free of torch, so that the start page opens at once."""

import os

from IPython.display import HTML

from anomaly_lib.params import project_root

# In Voila the page's body is the notebook; in JupyterLab it is not, and these rules do nothing.
LARGE = """<style>
body.jp-Notebook { --anomaly-verdict: 32px;
  --jp-widgets-font-size: 20px; --jp-widgets-inline-height: 40px; --jp-content-font-size1: 20px;
  --jp-widgets-inline-width: 400px; --jp-widgets-inline-width-short: 130px; --jp-widgets-inline-label-width: 120px; }
body.jp-Notebook .jp-RenderedHTMLCommon, body.jp-Notebook .jp-RenderedHTMLCommon table { font-size: 22px; }
body.jp-Notebook .jp-RenderedHTMLCommon h1 { font-size: 34px; margin: 0; }
body.jp-Notebook .jp-RenderedHTMLCommon p { margin: 0.2em 0; }
body.jp-Notebook .jp-Cell { padding-top: 0; padding-bottom: 0; }
body.jp-Notebook .widget-html-content > img { width: 100%; max-height: 66vh; object-fit: contain;
  object-position: left top; }
body.jp-Notebook .widget-html, body.jp-Notebook .widget-html-content { height: auto; line-height: 1.4; }
body.jp-Notebook .anomaly-brush p { font-size: 18px; }
body.jp-Notebook small { font-size: 18px; }
body.jp-Notebook .anomaly-busy { font-weight: bold; }
body.jp-Notebook button:focus-visible, body.jp-Notebook select:focus-visible,
body.jp-Notebook .noUi-handle:focus-visible { outline: 4px solid #0072b2; }
</style>"""


def projector() -> HTML:
    """Large type, and pictures as wide as the page and no higher than the screen, in Voila; nothing in JupyterLab."""
    return HTML(LARGE)


def live_page() -> HTML:
    """A link to the live page, which ``make demo`` serves, or what makes it; the site puts the page itself here."""
    text = "The three detectors live, without a kernel, and as a folder for a USB stick"
    if not (project_root() / "build/live/index.html").is_file():
        text += ": <code>make live</code>, after <code>make repro</code>, makes it."
    elif _in_voila():
        text = f'<a href="../../live/index.html">{text}</a>'
    else:
        text += ": open <code>build/live/index.html</code> in a browser."
    return HTML(f"<!-- live: nut --><p>{text}</p><!-- /live -->")


def _in_voila() -> bool:
    return os.environ.get("SERVER_SOFTWARE", "").startswith("voila")
