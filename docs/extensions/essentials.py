"""Markdown extension: draws the line at which the essentials of a page end.

The idea, the formula, the code and its run are what a reader comes for, with what a page puts
between them. What follows the run goes further, or guards them, and stands below the line. Where it
is drawn depends on the ids of the headings alone, so that it stands at the same place in every
language; its words are an option.
"""

from xml.etree import ElementTree

from markdown import Extension, Markdown
from markdown.treeprocessors import Treeprocessor

ESSENTIAL = ("the-idea", "the-formula", "the-code", "run-it")
RUN = "run-it"  # the last of them
FURTHER = ("check-it", "in-the-notes", "what-goes-wrong", "exercises")
END = ("where-next", "sources")


class EssentialsTreeprocessor(Treeprocessor):
    """Puts a line before the first section after the run, or without one the first further one."""

    def __init__(self, md: Markdown, words: str) -> None:
        super().__init__(md)
        self.words = words

    def run(self, root: ElementTree.Element) -> None:
        begun = ran = False
        for index, element in enumerate(root):
            if element.tag != "h2":
                continue
            name = element.get("id")
            if name in ESSENTIAL:
                begun, ran = True, ran or name == RUN
            elif (begun and name in FURTHER) or (ran and name not in END):
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
