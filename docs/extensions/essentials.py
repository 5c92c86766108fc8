"""Markdown extension: draws the line at which the essentials of a page end.

The idea, the formula, the code and its run are what a reader comes for. What guards them stands
below the line. Where it is drawn depends on the ids of the headings alone, so that it stands at the
same place in every language; its words are an option.
"""

from xml.etree import ElementTree

from markdown import Extension, Markdown
from markdown.treeprocessors import Treeprocessor

ESSENTIAL = ("the-idea", "the-formula", "the-code", "run-it")
FURTHER = ("check-it", "in-the-notes", "what-goes-wrong", "exercises")


class EssentialsTreeprocessor(Treeprocessor):
    """Puts a line before the first further section that follows an essential one."""

    def __init__(self, md: Markdown, words: str) -> None:
        super().__init__(md)
        self.words = words

    def run(self, root: ElementTree.Element) -> None:
        begun = False
        for index, element in enumerate(root):
            if element.tag != "h2":
                continue
            begun = begun or element.get("id") in ESSENTIAL
            if begun and element.get("id") in FURTHER:
                line = ElementTree.Element("p", {"class": "essentials"})
                line.text = self.words
                root.insert(index, line)
                return


class EssentialsExtension(Extension):
    """Registers the tree processor after attr_list, which gives the headings their ids."""

    def __init__(self, **options: str) -> None:
        self.config = {"words": ["The essentials end here.", "What the line says."]}
        super().__init__(**options)

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802 (the name is Python-Markdown's)
        processor = EssentialsTreeprocessor(md, self.getConfig("words"))
        md.treeprocessors.register(processor, "essentials", 6)


def makeExtension(**options: str) -> EssentialsExtension:  # noqa: N802 (Python-Markdown's name)
    return EssentialsExtension(**options)
