"""Puts the code of a snippet in the place of its import, with all that this code needs.

What a definition uses comes with it: the imports of its module, constants, helpers, and what its
module imports from other snippets. What the notebook has already is not said again.
"""

import ast
import builtins
import re
import symtable
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mkdocs.exceptions import BuildError


@dataclass(frozen=True)
class Line:
    """A line of a notebook's cell, and where it was written."""

    text: str
    path: Path
    number: int


class Inliner:
    """Expands the cells of one notebook, in order.

    Args:
        root: The folder that `snippets/` stands in.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.bound: dict[str, str] = {}  # what the notebook has so far: a name and where it is from

    def expand(self, cell: list[Line]) -> list[Line]:
        """The lines of a cell with every `from snippets.module import name` replaced.

        Raises:
            BuildError: With file and line, if an import of a snippet is of another form, names
                what its module does not define, or needs a name that is already something else.
        """
        try:
            statements = ast.parse("\n".join(line.text for line in cell)).body
        except SyntaxError:  # an IPython magic; such a cell imports no snippet
            return cell
        expanded: list[Line] = []
        done = 0
        for statement in statements:
            if not is_snippet_import(statement):
                for name, origin in bindings(statement):
                    self.bound[name] = origin
                continue
            first, last = cell[statement.lineno - 1], statement.end_lineno
            expanded += cell[done : statement.lineno - 1]
            expanded += self.replacement(statement, first)
            done = last
        return expanded + cell[done:]

    def replacement(self, statement: ast.stmt, here: Line) -> list[Line]:
        """The code that stands for one import."""
        where = f"{here.path.relative_to(self.root)}:{here.number}"
        module = getattr(statement, "module", None) or ""
        aliases = [alias.name for alias in statement.names]
        renamed = any(alias.asname for alias in statement.names)
        if not module.startswith("snippets.") or "*" in aliases or renamed:
            raise BuildError(f"{where}: import a snippet as `from snippets.module import name`")
        code = Code(imports=[], definitions=[])
        for name in aliases:
            self.collect(module, name, code, where, required=True)
        parts = [code.imports] if code.imports else []
        parts += code.definitions
        blank = [Line("", here.path, here.number)] * 2
        return [
            line for index, part in enumerate(parts) for line in ([*blank] if index else []) + part
        ]

    def collect(self, module: str, name: str, code: "Code", where: str, required: bool) -> None:
        """Add what a name of a module stands for, behind all that it needs."""
        path = self.root / f"{module.replace('.', '/')}.py"
        if not path.is_file():
            raise BuildError(f"{where}: {path.relative_to(self.root)} does not exist")
        source = path.read_text(encoding="utf-8")
        found = next(
            (
                (statement, origin)
                for statement in ast.parse(source).body
                for bound, origin in bindings(statement, str(path.relative_to(self.root)))
                if bound == name
            ),
            None,
        )
        if found is None:
            if required:
                raise BuildError(f"{where}: {path.relative_to(self.root)} defines no {name}")
            return  # a name of Python's own, or one that the code sets for itself
        statement, origin = found
        if is_snippet_import(statement):
            self.collect(statement.module, name, code, where, required=True)
            return
        if target(there := self.bound.get(name, origin)) != target(origin):
            raise BuildError(
                f"{where}: this needs {name} as {origin} has it, but the notebook has {name} as "
                f"{there} has it"
            )
        if name in self.bound:
            return
        self.bound[name] = origin
        if isinstance(statement, ast.Import | ast.ImportFrom):
            code.imports.append(Line(origin, path, statement.lineno))
            return
        decorators = getattr(statement, "decorator_list", [])
        first = min([statement, *decorators], key=lambda part: part.lineno).lineno
        texts = source.splitlines()[first - 1 : statement.end_lineno]
        for used in global_names("\n".join(texts)):
            if used not in vars(builtins):
                self.collect(module, used, code, where, required=False)
        lines = [Line(text, path, number) for number, text in enumerate(texts, first)]
        code.definitions.append(lines)


@dataclass
class Code:
    """What stands for an import: imports, and definitions that each come after what they use."""

    imports: list[Line]
    definitions: list[list[Line]]


def is_snippet_import(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.ImportFrom):
        return (statement.module or "").split(".")[0] == "snippets"
    return isinstance(statement, ast.Import) and any(
        alias.name.split(".")[0] == "snippets" for alias in statement.names
    )


def bindings(statement: ast.stmt, place: str = "a cell of the lab") -> Iterator[tuple[str, str]]:
    """The names that a statement binds, each with its import or else the place it is written in."""
    if isinstance(statement, ast.Import | ast.ImportFrom):
        for alias in statement.names:
            name = alias.asname or alias.name.split(".")[0]
            if isinstance(statement, ast.Import):
                yield name, ast.unparse(ast.Import([alias]))
            else:
                yield name, ast.unparse(ast.ImportFrom(statement.module, [alias], statement.level))
    elif isinstance(statement, ast.FunctionDef | ast.ClassDef):
        yield statement.name, place
    elif isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign):
        for node in ast.walk(statement):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                yield node.id, place


def target(origin: str) -> str:
    """What an origin names: the dotted path of an import, or else the place itself."""
    found = re.fullmatch(r"(?:from (?P<package>\S+) )?import (?P<name>\S+)(?: as \S+)?", origin)
    return ".".join(filter(None, found.group("package", "name"))) if found else origin


def global_names(code: str) -> list[str]:
    """The names that code takes from the module around it, in the order of the alphabet."""

    def of(table: symtable.SymbolTable) -> Iterator[str]:
        for symbol in table.get_symbols():
            if symbol.is_referenced() and (table.get_type() == "module" or symbol.is_global()):
                yield symbol.get_name()
        for child in table.get_children():
            yield from of(child)

    return sorted(set(of(symtable.symtable(code, "snippet", "exec"))))
