"""Large type for a projector. Free of torch, so that the start page opens at once."""

from IPython.display import HTML

# In Voila the page's body is the notebook; in JupyterLab it is not, and these rules do nothing.
LARGE = """<style>
body.jp-Notebook { --anomaly-verdict: 32px;
  --jp-widgets-font-size: 20px; --jp-widgets-inline-height: 40px; --jp-content-font-size1: 20px;
  --jp-widgets-inline-width: 400px; --jp-widgets-inline-width-short: 130px; --jp-widgets-inline-label-width: 120px; }
body.jp-Notebook .jp-RenderedHTMLCommon, body.jp-Notebook .jp-RenderedHTMLCommon table { font-size: 22px; }
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
