"""MkDocs hook: names the line, beside the page, of a link that leads nowhere.

MkDocs says which page holds a broken link or anchor, and which words it is written with. The line
is found in the page's own file, or the lab's script, by these words.
"""

import logging
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig

STRUCTURE = ("mkdocs.structure.pages", "mkdocs.structure.nav")
ON_A_PAGE = re.compile(r"Doc file '(?P<page>[^']+)' contains an? (?:\w+ )*link '(?P<link>.*?)',? ")
IN_THE_NAV = re.compile(
    r"(?:A reference|A relative path|An absolute path) to '(?P<link>.*?)' is in"
)
FENCE = re.compile(r"(?:# )?\s*(?P<marks>`{3,}|~{3,})(?P<info>.*)")


class NameLines(logging.Filter):
    """Puts file and line before a message about a link; a record always passes."""

    def __init__(self, config: MkDocsConfig) -> None:
        super().__init__()
        self.config = config

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        if found := ON_A_PAGE.match(message):
            file, shown = Path(self.config.docs_dir) / found["page"], f"docs/{found['page']}"
            record.msg, record.args = placed(file, shown, found["link"], message), ()
        elif found := IN_THE_NAV.match(message):
            file = Path(self.config.config_file_path)
            record.msg, record.args = placed(file, file.name, found["link"], message), ()
        return True


def on_config(config: MkDocsConfig) -> None:
    """Listen to MkDocs's messages about links, in place of an earlier build's listener."""
    for name in STRUCTURE:
        logger = logging.getLogger(name)
        for earlier in [each for each in logger.filters if type(each).__name__ == "NameLines"]:
            logger.removeFilter(earlier)
        logger.addFilter(NameLines(config))


def placed(file: Path, shown: str, link: str, message: str) -> str:
    """A message behind the file and the lines that hold a link."""
    if not file.is_file():
        return message
    lines = lines_of(link, file.read_text(encoding="utf-8").splitlines())
    if not lines:
        return f"{shown}: {message}"
    others = f" (also on line {', '.join(map(str, lines[1:]))})" if lines[1:] else ""
    return f"{shown}:{lines[0]}: {message}{others}"


def lines_of(link: str, lines: list[str]) -> list[int]:
    """The numbers of the lines that hold a link's address, as one word, outside code."""
    address = re.compile(rf"(?<![\w./#-]){re.escape(link)}(?![\w./#-])")
    fence, found = "", []
    for number, line in enumerate(lines, 1):
        if mark := FENCE.fullmatch(line):
            if not fence:
                fence = mark["marks"]
                continue
            if mark["marks"].startswith(fence) and not mark["info"].strip():
                fence = ""
        if not fence and address.search(re.sub(r"`[^`]*`", "", line)):
            found.append(number)
    return found
