"""Sphinx configuration: `sphinx-build -W --keep-going -n docs build/docs/html`.

The package must be built: the Python reference is read from it. Doxygen reads the headers.
"""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "_ext"))

import devview  # noqa: E402

project = "devview"
author = "the authors of devview"
copyright = "the authors of devview, Apache-2.0"
version = release = devview.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.intersphinx",
    "myst_parser",
    "breathe",
    "cpp_headers",
    "stub_signatures",
]
exclude_patterns = ["_ext", "examples"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}

# Links to headings of a page, `items.md#packed-items`.
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence", "deflist"]

# Builds need no network: names of other projects are text, not links.
intersphinx_mapping = {}

autodoc_member_order = "alphabetical"
# The other way drops a signature that stub_signatures gives where C tells none (Sphinx 9.0).
autodoc_use_legacy_class_based = True
autodoc_docstring_signature = False
autodoc_typehints = "none"
napoleon_google_docstring = False
napoleon_use_rtype = False
add_module_names = False
toc_object_entries_show_parents = "hide"
default_role = "literal"

breathe_projects = {"devview": str(HERE.parent / "build" / "docs" / "doxygen" / "xml")}
breathe_default_project = "devview"
breathe_domain_by_extension = {"h": "c", "hpp": "cpp"}
cpp_index_common_prefix = ["devview::", "devview::cuda::"]
cpp_id_attributes = ["DEVVIEW_CORE_API", "DEVVIEW_CUDA_API", "DEVVIEW_LOCAL"]
c_id_attributes = cpp_id_attributes

nitpicky = True
nitpick_ignore_regex = [
    # A declaration was checked by the compiler. Names in it that lead nowhere are those of other
    # libraries and languages, of template parameters and of what is private; prose is checked.
    (r"(cpp|c):identifier", r".*"),
    # In NumPy-style docstrings a type is a phrase: "str or dv.Device, optional".
    (r"py:class", r".*"),
]
suppress_warnings = [
    # Every header opens the namespace; a C structure and its typedef have one name.
    "duplicate_declaration.cpp",
    "duplicate_declaration.c",
]

html_theme = "pydata_sphinx_theme"
html_title = "devview"
html_static_path = ["_static"]
html_css_files = ["devview.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "show_nav_level": 1,
    "navbar_end": ["theme-switcher"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "a11y-light",
    "pygments_dark_style": "a11y-dark",
}
