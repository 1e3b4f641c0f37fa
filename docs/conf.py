"""How Sphinx builds the site: ``make docs``. Nothing is fetched, neither by the build nor by a page."""

from html import escape
from importlib import import_module
from importlib.metadata import version as version_of
from typing import Any

from docutils.nodes import Element, Node, SkipNode
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.logging import getLogger

project = "longtail"
version = release = version_of("longtail")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
default_role = "py:obj"  # `Name` in a docstring: a link where there is such a name, else code
highlight_language = "none"

myst_enable_extensions = ["dollarmath"]
myst_fence_as_directive = ["math"]  # as GitHub writes formulas
myst_heading_anchors = 3  # and links to headings

autodoc_inherit_docstrings = False  # torch's and Lightning's are not ours
autodoc_preserve_defaults = True
autodoc_typehints_format = "short"
maximum_signature_line_length = 80
python_use_unqualified_type_names = True
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_title = "longtail"
html_static_path = ["site.css"]
html_css_files = ["site.css"]
html_math_renderer = "mathml"
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False


class Room(SphinxDirective):
    """``.. room:: longtail.losses``: what a module exports, and below it the bases that its classes share."""

    required_arguments = 1

    def run(self) -> list[Node]:
        name = self.arguments[0]
        options = ["   :members:", "   :show-inheritance:", ""]
        lines = [f".. automodule:: {name}", *options]
        bases = shared(name)
        if bases:
            lines += ["Bases", "-----", ""]
        for base in bases:
            lines += [f".. autoclass:: {base}", *options]
        return self.parse_text_to_nodes("\n".join(lines), allow_section_headings=True)


def shared(name: str) -> list[str]:
    """Import paths of the public classes of a room that it does not export, and classes that it exports derive from."""
    room = import_module(name)
    exported = [getattr(room, public) for public in getattr(room, "__all__", ())]
    bases = {base for kind in exported if isinstance(kind, type) for base in kind.__mro__} - {*exported}
    inside = [base for base in bases if base.__module__.startswith(f"{name}.") and base.__name__[0] != "_"]
    return sorted(f"{base.__module__}.{base.__name__}" for base in inside)


def keep_forward(app: Sphinx, what: str, name: str, member: Any, skip: bool, options: Any) -> bool | None:
    """The docstring of a loss or a network tells its call; the arguments belong beside it."""
    return False if name == "forward" else None


def public_bases(app: Sphinx, name: str, member: Any, options: Any, bases: list[Any]) -> None:
    """Name the bases of a private base in its place."""
    while private := [base for base in bases if getattr(base, "__name__", "").startswith("_")]:
        place = bases.index(private[0])
        bases[place : place + 1] = private[0].__bases__


def formula(node: Element, as_block: bool) -> str:
    """MathML, which browsers draw by themselves; what docutils cannot read ends the build."""
    try:
        return tex2mathml(node.astext(), as_block)
    except MathError as error:
        getLogger(__name__).warning("formula: %s", error, location=node)
        return escape(node.astext())


def inline(writer: Any, node: Element) -> None:
    writer.body.append(formula(node, as_block=False))
    raise SkipNode


def block(writer: Any, node: Element) -> None:
    writer.body.append(f'<div class="formula">{formula(node, as_block=True)}</div>')
    raise SkipNode


def setup(app: Sphinx) -> None:
    app.add_directive("room", Room)
    app.connect("autodoc-skip-member", keep_forward)
    app.connect("autodoc-process-bases", public_bases)
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
