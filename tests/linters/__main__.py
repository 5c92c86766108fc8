"""Says what is wrong with the notes and the reference pages: `python -m tests.linters`."""

import sys

from tests import ROOT
from tests.linters import notes, reference
from tests.runner.pages import site_config

DOCS = ROOT / "docs"


def main() -> None:
    """Print every problem with its file and line; exit with 1 if there is one."""
    page, original = (path.read_text(encoding="utf-8") for path in (notes.PAGE, notes.ORIGINAL))
    found = [
        *notes.problems(page, original, DOCS, notes.navigation(site_config(ROOT).nav)),
        *reference.notation_problems(reference.read("notation.md")),
        *reference.glossary_problems(reference.read("glossary.md"), page),
        *reference.bibliography_problems(reference.read("bibliography.md"), reference.all_pages()),
    ]
    for problem in found:
        print(problem)
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
