"""Processes that tests start."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def ended(process: subprocess.Popen) -> Iterator[subprocess.Popen]:
    """A process that is killed when the block ends, whatever happens in it, and waited for."""
    with process:
        try:
            yield process
        finally:
            process.kill()  # SIGKILL, which no process can answer
