"""MkDocs hook: gives the search dialog the name that Material leaves out."""

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import BuildError
from mkdocs.structure.pages import Page

UNNAMED = 'data-md-component="search" role="dialog"'


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    return named_search(output)


def on_post_template(output: str, template_name: str, config: MkDocsConfig) -> str:
    """Do the same for a page that has no source, such as 404.html."""
    return named_search(output) if template_name.endswith(".html") else output


def named_search(output: str) -> str:
    if output.count(UNNAMED) != 1:
        raise BuildError(f"Material's search dialog no longer holds {UNNAMED}: look again")
    return output.replace(UNNAMED, f'{UNNAMED} aria-label="Search"')
