"""Python blocks of the site that run while it is built, and what they print.

A block that begins with ```` ```python run ```` is run, after those before it and in
the same namespace. What it prints stands below it, and a figure of matplotlib that
it leaves open is drawn there.
"""

from __future__ import annotations

import io
import re
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib import pyplot as plt

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

RUN = re.compile(r"^```python run\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def on_page_markdown(
    markdown: str,
    *,
    page: Page,
    config: MkDocsConfig,  # noqa: ARG001 - passed by its name
    files: Files,  # noqa: ARG001
) -> str:
    """Run the blocks of a page.

    Parameters
    ----------
    markdown : str
        Text of the page.
    page : Page
        The page.
    config : MkDocsConfig
        Configuration of the site.
    files : Files
        Files of the site.

    Returns
    -------
    str
        The text with what the blocks print.
    """
    return run_blocks(markdown, page.file.src_uri, {})


def run_blocks(markdown: str, name: str, namespace: dict[str, Any]) -> str:
    """Run the blocks of a text in order.

    Parameters
    ----------
    markdown : str
        Text with blocks.
    name : str
        Name of the text, for tracebacks.
    namespace : dict
        Where the blocks leave their names.

    Returns
    -------
    str
        The text with what the blocks print.
    """

    def run(found: re.Match[str]) -> str:
        printed = io.StringIO()
        code = compile(found[1], f"<block of {name}>", "exec")
        with mpl.rc_context({"svg.hashsalt": name, "svg.fonttype": "none"}):
            mpl.use("svg")
            with redirect_stdout(printed):
                exec(code, namespace)  # noqa: S102 - the page's own
            figure = _draw() if plt.get_fignums() else ""
        text = printed.getvalue()
        output = f'\n\n```text title="prints"\n{text}```' if text else ""
        return f"```python\n{found[1]}```{output}{figure}"

    return RUN.sub(run, markdown)


def _draw() -> str:
    """Draw the open figure as SVG in the page, and close it."""
    drawn = io.StringIO()
    plt.savefig(drawn, format="svg", metadata={"Date": None}, transparent=True)
    plt.close("all")
    svg = drawn.getvalue()
    return f'\n\n<figure class="plot">{svg[svg.index("<svg") :].strip()}</figure>'
