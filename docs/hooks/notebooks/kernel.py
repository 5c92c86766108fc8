"""The environment that labs are executed in, which is not the one of whoever builds.

Of the builder's environment variables a few that a process needs to run are kept; all else, and
with it every setting of matplotlib, IPython, Jupyter, Python and PyTorch, is this module's.
Whatever these programs keep in a home goes to a folder under `.cache/`.
"""

import contextlib
import json
import os
import site
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from mkdocs.exceptions import BuildError

from notebooks.files import write

# What the operating system needs to start a process and to find its libraries.
KEPT = (
    "PATH",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
    "SYSTEMROOT",
    "COMSPEC",
    "PATHEXT",
    "TMPDIR",
    "TEMP",
    "TMP",
)
SETTINGS = {
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    "PYTHONHASHSEED": "0",
    "PYTHONUTF8": "1",
}
# IPython's settings and startup files of the whole machine are left out; only a program can say so.
LAUNCHER = """\
import IPython.core.application as application
application.ENV_CONFIG_DIRS.clear()
application.SYSTEM_CONFIG_DIRS.clear()
from ipykernel.kernelapp import launch_new_instance
launch_new_instance()
"""
# The kernel warns that its connection is not encrypted; it talks to its own machine alone.
FLAGS = (
    "--log-level=ERROR",
    "--HistoryManager.enabled=False",
    "--IPKernelApp.exec_PYTHONSTARTUP=False",
)


def settings() -> str:
    """What a cache has to know of the environment, as text that names no path of this machine."""
    return json.dumps([SETTINGS, LAUNCHER, FLAGS, platform_settings()], sort_keys=True)


def platform_settings() -> dict[str, str]:
    """How a Python outside a virtual environment finds what the user has installed."""
    return (
        {"PYTHONUSERBASE": site.getuserbase()}
        if site.ENABLE_USER_SITE
        else {"PYTHONNOUSERSITE": "1"}
    )


def variables(home: Path) -> dict[str, str]:
    """The environment variables of a lab's kernel, whose home is a folder of this project."""
    return {
        **{name: os.environ[name] for name in KEPT if name in os.environ},
        **SETTINGS,
        **platform_settings(),
        "HOME": str(home),
        "USERPROFILE": str(home),
        "IPYTHONDIR": str(home / "ipython"),
        "MPLCONFIGDIR": str(home / "matplotlib"),
        "JUPYTER_CONFIG_DIR": str(Path(__file__).parent),  # of jupyter_nbconvert_config.py
        "JUPYTER_DATA_DIR": str(home / "jupyter"),
        "JUPYTER_PATH": str(home / "jupyter"),  # before all other kernels named python3
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
    }


@contextlib.contextmanager
def environment(home: Path) -> Iterator[None]:
    """Run what is within with the environment of labs, in an empty folder.

    Args:
        home: The folder in which the kernel and the programs that it runs keep what they must.

    Raises:
        BuildError: If matplotlib cannot be imported in that environment.
    """
    before, own = dict(os.environ), variables(home)
    command = ["-c", LAUNCHER, "-f", "{connection_file}", *FLAGS]
    spec = {"argv": [sys.executable, *command], "display_name": "Python 3", "language": "python"}
    write(home / "jupyter" / "kernels" / "python3" / "kernel.json", json.dumps(spec))
    for folder in ("ipython", "matplotlib", "runtime", "empty"):
        (home / folder).mkdir(parents=True, exist_ok=True)
    if not any((home / "matplotlib").glob("fontlist*.json")):
        find_fonts(own)
    try:
        os.environ.clear()
        os.environ.update(own)
        with contextlib.chdir(home / "empty"):
            yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def find_fonts(own: dict[str, str]) -> None:
    """Let matplotlib list the fonts now; in a kernel it would say on stderr that it takes long."""
    command = [sys.executable, "-c", "import matplotlib.font_manager"]
    own = own | {"MPLBACKEND": "svg"}
    run = subprocess.run(command, env=own, capture_output=True, text=True)
    if run.returncode:
        raise BuildError(f"the labs need matplotlib, which fails: {run.stderr.strip()}")
