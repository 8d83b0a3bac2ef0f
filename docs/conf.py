"""How the site is made: `make docs`. Nothing is fetched, neither by the build nor by its pages."""

from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "extensions"))

import doors

project = "tedm"
author = "The engineers of tedm"
version = release = version("tedm")
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "pages", "doors", "options"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
root_doc = "index"
language = "en"
smartquotes = False  # --option stays --option

myst_heading_anchors = 4

default_role = "code"  # `name` in a docstring
add_module_names = False
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True  # workers=HERE
autodoc_type_aliases = doors.aliases()
python_maximum_signature_line_length = 88
toc_object_entries_show_parents = "hide"
napoleon_google_docstring = False
napoleon_use_param = False  # else words of a type ("channels") become links to whatever has that name
napoleon_use_rtype = False
napoleon_use_ivar = True

html_theme = "pydata_sphinx_theme"
html_title = f"tedm {release}"
html_static_path = ["static"]
html_css_files = ["tedm.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "logo": {"text": "tedm"},
    "navbar_end": ["theme-switcher"],
    "footer_start": [],
    "footer_end": [],
    "show_prev_next": True,
    "navigation_with_keys": False,
    "show_nav_level": 1,
    "show_toc_level": 2,
    "secondary_sidebar_items": {"**": ["page-toc"], "which-tool": [], "methods": []},  # room for wide tables
}
html_context = {"default_mode": "auto"}
html_sidebars = {"index": []}
