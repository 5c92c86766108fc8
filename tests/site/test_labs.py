"""Labs: what they import from `snippets/`, what they are executed in, and what stops the build."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import jupytext
import pytest
from bs4 import BeautifulSoup
from mkdocs.exceptions import BuildError
from nbformat import reads, writes
from nbformat.v4 import new_output

from notebooks import kernel, outputs
from notebooks.execution import cached_path, keep_in_repository, kept_path, known_execution
from notebooks.lab import read_lab
from tests.runner.lab_site import HEADER, build, lab, make_lab_site

PAIR = """\
from dataclasses import dataclass
import math as mathematics

from snippets.scale import SCALE

UNIT = 1


@dataclass(frozen=True)
class Pair:
    one: int
    two: int = UNIT


def total(pair: Pair) -> int:
    return halved(pair) * SCALE


def halved(pair: Pair) -> int:
    return mathematics.floor(pair.one + pair.two) // 2


def unused() -> None:
    raise AssertionError
"""
SCALE = """\
from typing import Final

FACTOR = 3
SCALE: Final = 2 * FACTOR
"""
PARTS = ' builds="The parts"\nfrom snippets.pair import Pair, total'
SUM = "\nprint(total(Pair(3)))"
DRAWN = """ caption="A line."
import matplotlib.pyplot as plt

plt.rcParams["svg.hashsalt"] = "lab"
plt.plot([1, 2])
plt.title("One to two")
plt.show()
"""
FIRST = len(HEADER.splitlines()) + 2  # the line of a lab's first `# %%`
SVG = '\n# %config InlineBackend.figure_formats = ["svg"]'


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A lab beside the modules that it imports from."""
    for name, text in {"pair": PAIR, "scale": SCALE}.items():
        path = tmp_path / "snippets" / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (tmp_path / "lab.py").write_text(lab(PARTS, SUM), encoding="utf-8")
    return tmp_path


def written(project: Path, *cells: str) -> list:
    """The cells of the notebook of a lab."""
    (project / "lab.py").write_text(lab(*cells), encoding="utf-8")
    return read_lab(project / "lab.py", project).notebook.cells


def refusal(project: Path, *cells: str) -> str:
    with pytest.raises(BuildError) as caught:
        written(project, *cells)
    return str(caught.value)


# What a lab imports


def test_a_snippet_brings_all_that_it_needs_and_nothing_else(
    project: Path, capsys: pytest.CaptureFixture
) -> None:
    cells = written(project, PARTS, SUM)
    names: dict[str, object] = {"__name__": "lab"}
    for cell in cells:
        assert "snippets" not in cell.source
        exec(cell.source, names)
    assert capsys.readouterr().out == "12\n"
    assert "unused" not in names


def test_what_the_notebook_has_is_not_said_again(project: Path) -> None:
    first = "\nfrom dataclasses import dataclass\nfrom snippets.pair import Pair"
    cells = written(project, first, "\nfrom snippets.pair import total, Pair")
    whole = "\n".join(cell.source for cell in cells)
    assert whole.count("from dataclasses import dataclass") == 1
    assert whole.count("class Pair") == whole.count("def total") == whole.count("import math") == 1


def test_a_cell_of_snippets_has_a_title_and_the_others_have_none(project: Path) -> None:
    first = "\nimport math"
    titles = [cell.metadata.get("builds") for cell in written(project, first, PARTS, SUM)]
    assert titles == [None, "The parts", None]
    untitled = PARTS.removeprefix(' builds="The parts"')
    titles = [cell.metadata.get("builds") for cell in written(project, first, untitled, SUM)]
    assert titles == [None, "What this lab builds on", None]


def test_the_same_lab_gives_the_same_notebook(project: Path) -> None:
    first, second = (
        jupytext.writes(read_lab(project / "lab.py", project).notebook, "ipynb") for _ in range(2)
    )
    assert first == second


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("from snippets.pair import mean", "snippets/pair.py defines no mean"),
        ("from snippets.pairs import total", "snippets/pairs.py does not exist"),
        ("from snippets.pair import *", "import a snippet as `from snippets.module import name`"),
        ("from snippets.pair import total as t", "import a snippet as `from snippets.module impo"),
        ("from snippets import pair", "import a snippet as `from snippets.module import name`"),
        ("import snippets.pair", "import a snippet as `from snippets.module import name`"),
    ],
)
def test_an_import_that_cannot_be_replaced_is_refused_with_its_line(
    project: Path, statement: str, reason: str
) -> None:
    assert refusal(project, SUM, f"\nimport math\n{statement}").startswith(f"lab.py:14: {reason}")


def test_a_name_that_the_lab_uses_otherwise_is_refused(project: Path) -> None:
    said = refusal(project, "\nUNIT = 2", PARTS)
    assert said.startswith("lab.py:13: this needs UNIT as snippets/pair.py has it, but")
    said = refusal(project, "\nfrom os import path as mathematics", PARTS)
    assert said.startswith("lab.py:13: this needs mathematics as import math as mathematics has it")
    assert written(project, "\nimport math as mathematics", PARTS)


def test_a_lab_without_a_description_is_refused(project: Path) -> None:
    bare = (project / "lab.py").read_text(encoding="utf-8")
    bare = bare.replace("#   description: A lab for tests.\n", "")
    (project / "lab.py").write_text(bare, encoding="utf-8")
    with pytest.raises(BuildError, match=r"^lab\.py:1: the lab has no description"):
        read_lab(project / "lab.py", project)


def test_an_output_that_no_cell_puts_out_is_refused_with_its_line(project: Path) -> None:
    text = " [markdown]\n# Words\n#\n# /// output | {}\n# ///"
    named = ' name="sum"\nprint(1 + 1)'
    assert written(project, text.format("sum"), named)
    said = refusal(project, text.format("total"), named)
    assert said == f"lab.py:{FIRST + 3}: no cell of this lab has the name total"


def test_every_line_of_a_cell_is_known_to_its_file(project: Path) -> None:
    text = lab(PARTS, "\n\nprint(total(Pair(3)))", " [markdown]\n# Words")
    (project / "lab.py").write_text(text, encoding="utf-8")
    read = read_lab(project / "lab.py", project)
    for cell, lines in zip(read.notebook.cells, read.lines, strict=True):
        assert [line.text for line in lines] == cell.source.splitlines()
        for line in lines:
            there = line.path.read_text(encoding="utf-8").splitlines()[line.number - 1]
            assert line.text in there or (line.path.name != "lab.py" and there in PAIR + SCALE)


# What a lab is executed in


def unfriendly(folder: Path) -> dict[str, str]:
    """The environment of somebody whose own settings would change, break or stain every lab."""
    files = {
        "home/.config/matplotlib/matplotlibrc": "axes.titlesize: 40\n",
        "matplotlib/matplotlibrc": "axes.titlesize: 40\n",
        "ipython/profile_default/startup/first.py": "print('good morning')\ntotal = None\n",
        "ipython/profile_default/ipython_kernel_config.py": (
            "c.InlineBackend.figure_formats = ['png']\nc.InteractiveShell.ast_node_interactivity"
            " = 'all'\n"
        ),
        "jupyter/kernels/python3/kernel.json": json.dumps(
            {"argv": ["/no/such/python"], "display_name": "dead", "language": "python"}
        ),
        "settings/jupyter_nbconvert_config.json": json.dumps(
            {"ExecutePreprocessor": {"extra_arguments": ["--no-such-flag"], "timeout": 1}}
        ),
        "startup.py": "raise SystemExit('startup')\n",
        "path/matplotlib.py": "raise ImportError('not this one')\n",
    }
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return {
        "HOME": "/dev/null/nobody",
        "XDG_CONFIG_HOME": str(folder / "home" / ".config"),
        "MPLBACKEND": "Agg",
        "MPLCONFIGDIR": str(folder / "matplotlib"),
        "MATPLOTLIBRC": str(folder / "matplotlib"),
        "IPYTHONDIR": str(folder / "ipython"),
        "JUPYTER_PATH": str(folder / "jupyter"),
        "JUPYTER_CONFIG_PATH": str(folder / "settings"),
        "JUPYTER_CONFIG_DIR": str(folder / "settings"),
        "JUPYTER_RUNTIME_DIR": "/dev/null/runtime",
        "PYTHONSTARTUP": str(folder / "startup.py"),
        "PYTHONWARNINGS": "always",
        "PYTHONPATH": str(folder / "path"),
        "LC_ALL": "C",
    }


def test_the_builders_own_settings_change_nothing_and_a_second_build_executes_nothing(
    project: Path,
) -> None:
    files = {
        "docs/lab/drawn.py": lab(SVG, DRAWN, PARTS, f"{SUM}\n1 + 1\ntotal"),
        "snippets/pair.py": PAIR,
        "snippets/scale.py": SCALE,
    }
    built = {}
    for name, variables in {
        "plain": {},
        "unfriendly": unfriendly(project / "theirs"),
    }.items():
        root = project / name
        make_lab_site(root, files)
        run = build(root, variables)
        assert run.returncode == 0, run.stdout
        built[name] = (root / "site" / "lab" / "drawn" / "index.html").read_text(encoding="utf-8")
    assert built["plain"] == built["unfriendly"]
    log = build(project / "plain").stdout
    assert "Cache hit: lab/drawn.py" in log
    assert "Converting notebook" not in log
    assert BeautifulSoup(built["plain"], "lxml").find("svg")["aria-label"] == "A line."


def test_the_kernels_variables_name_nothing_of_the_builders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MPLBACKEND", "OMP_NUM_THREADS", "TORCH_LOGS", "JUPYTER_PREFER_ENV_PATH"):
        monkeypatch.setenv(name, "theirs")
    before = dict(os.environ)
    with kernel.environment(tmp_path):
        assert "theirs" not in os.environ.values()
        assert str(tmp_path) in os.environ["HOME"]
        assert str(tmp_path) in os.getcwd()
    assert dict(os.environ) == before


# What stops a build, and what is kept


@pytest.fixture
def lab_build(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Builds a site of one lab, `docs/lab/tried.py`, of these cells."""

    def run(*cells: str, **files: str) -> subprocess.CompletedProcess[str]:
        make_lab_site(tmp_path, {"docs/lab/tried.py": lab(*cells), **files})
        return build(tmp_path)

    return run


DRAWING = new_output("display_data", {"image/svg+xml": "<svg/>", "text/plain": "drawn"})
DOTS = new_output("display_data", {"image/png": "AAAA", "text/plain": "dots"})
PRINTED = new_output("stream", text="1\n")
SPOKEN = new_output("stream", name="stderr", text="spoken\n")
WARNED = new_output(
    "stream", name="stderr", text="/tmp/ipykernel_12/34.py:2: UserWarning: old\n  warn()\n"
)
CAPTION = ' caption="A line."'
# What a cell puts out, what stands behind its `# %%`, the line that is named, and the reason.
REFUSED = {
    "a caption without a drawing": ([PRINTED], CAPTION, 0, "this cell has a caption, but draws"),
    "a caption over nothing": ([], CAPTION, 0, "this cell has a caption, but draws nothing"),
    "a drawing without a caption": ([DRAWING], "", 0, "this cell draws, but has no caption"),
    "a picture of dots": ([DOTS], CAPTION, 0, "a page shows text, tables and drawings as SVG, but"),
    "a word on stderr": ([PRINTED, SPOKEN], "", 0, "this cell prints on stderr: spoken"),
    "a warning": ([WARNED], "", 2, "this lab warns: UserWarning: old"),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_what_a_page_cannot_promise_is_refused_with_file_and_line(
    fault: str, project: Path
) -> None:
    put_out, options, line, reason = REFUSED[fault]
    (project / "lab.py").write_text(lab(f"{options}\n1 + 1\n2 + 2"), encoding="utf-8")
    read = read_lab(project / "lab.py", project)
    read.notebook.cells[0].outputs = put_out
    with pytest.raises(BuildError) as caught:
        outputs.check(read.notebook, read)
    assert str(caught.value).startswith(f"lab.py:{FIRST + line}: {reason}")


def test_a_drawing_with_a_caption_is_a_figure_with_a_name(project: Path) -> None:
    (project / "lab.py").write_text(lab(f"{CAPTION}\n1 + 1"), encoding="utf-8")
    read = read_lab(project / "lab.py", project)
    read.notebook.cells[0].outputs = [PRINTED, DRAWING]
    outputs.check(read.notebook, read)
    html = BeautifulSoup(outputs.outputs_html(read.notebook.cells[0]), "lxml")
    assert html.select_one("figure.plot > svg")["aria-label"] == html.figcaption.text == "A line."


STOPPED = {
    "a caption without a drawing": (
        ["\n1 + 1", f"{CAPTION}\nprint(1)"],
        f"docs/lab/tried.py:{FIRST + 3}: this cell has a caption, but draws nothing",
    ),
    "a warning": (
        ["\nimport warnings", '\n\n1 + 1\nwarnings.warn("old")'],
        f"docs/lab/tried.py:{FIRST + 6}: this lab warns: UserWarning: old",
    ),
    "an error in a snippet": (
        ["\n\nfrom snippets.broken import Broken"],
        f"docs/lab/tried.py:{FIRST}: snippets/broken.py:5: a cell of this lab failed: ValueError: ",
    ),
    "the kernel's death": (
        ["\nimport os", "\nos._exit(1)"],
        f"docs/lab/tried.py:{FIRST + 3}: the kernel of this lab died",
    ),
    "a formula": (
        [" [markdown]\n# # Title { #title }\n#\n# A $\\nonsense$."],
        f'docs/lab/tried.py:{FIRST + 3}: Unknown command "\\nonsense".',
    ),
}
BROKEN = "import math\n\n\nclass Broken:\n    root = math.sqrt(-1)\n"


@pytest.mark.parametrize("fault", STOPPED)
def test_a_lab_at_fault_stops_the_build_with_file_and_line(fault: str, tmp_path: Path) -> None:
    cells, said = STOPPED[fault]
    files = {"docs/lab/tried.py": lab(*cells), "snippets/broken.py": BROKEN}
    make_lab_site(tmp_path, files)
    run = build(tmp_path)
    assert run.returncode != 0
    assert said in " ".join(run.stdout.split()), run.stdout
    assert "Traceback" not in run.stdout
    assert not list((tmp_path / ".cache/labs").glob("executed/*"))


def test_a_lab_is_executed_anew_when_its_environment_changes(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = read_lab(project / "lab.py", project)
    first = cached_path(read, project)
    assert first == cached_path(read, project)
    monkeypatch.setitem(kernel.SETTINGS, "MPLBACKEND", "Agg")
    second = cached_path(read, project)
    read.notebook.metadata["versions"]["torch"] = "0"
    assert len({first, second, cached_path(read, project)}) == 3


@pytest.mark.parametrize(
    ("name", "change", "known"),
    [
        ("torch", lambda version: f"{version.partition('+')[0]}+cu130", True),
        ("torch", lambda version: "0", False),
        ("python", lambda version: f"{version}9", True),
        ("python", lambda version: "3.99.1", False),
    ],
)
def test_a_kept_execution_is_of_these_versions(
    name: str, change: Callable[[str], str], known: bool, project: Path
) -> None:
    made = read_lab(project / "lab.py", project)
    executed = reads(writes(made.notebook), as_version=4)
    executed.cells[0].outputs = [new_output("stream", text="1\n")]
    keep_in_repository(made, executed)
    read = read_lab(project / "lab.py", project)
    assert known_execution(read, project / "cache") == executed
    read.notebook.metadata["versions"][name] = change(read.notebook.metadata["versions"][name])
    assert bool(known_execution(read, project / "cache")) == known


def test_an_execution_of_other_code_is_not_known(project: Path) -> None:
    made = read_lab(project / "lab.py", project)
    keep_in_repository(made, made.notebook)
    scale = project / "snippets" / "scale.py"
    scale.write_text(SCALE.replace("FACTOR = 3", "FACTOR = 4"), encoding="utf-8")
    assert known_execution(read_lab(project / "lab.py", project), project / "cache") is None
    scale.write_text(SCALE, encoding="utf-8")
    made = read_lab(project / "lab.py", project)
    assert known_execution(made, project / "cache")
    kept_path(made).write_text(
        kept_path(made).read_text(encoding="utf-8").replace("Pair(3)", "Pair(4)"), encoding="utf-8"
    )
    assert known_execution(made, project / "cache") is None, "the kept notebook was edited"


def test_what_a_lab_prints_is_escaped() -> None:
    shown = outputs.output_html(new_output("stream", text="<b> & c"), "")
    assert "&lt;b&gt; &amp; c" in shown
