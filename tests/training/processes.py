"""Processes that tests start."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def ended(process: subprocess.Popen, asked: bool = False) -> Iterator[subprocess.Popen]:
    """A process that is killed when the block ends, whatever happens in it, and waited for.

    Args:
        process: What was started.
        asked: Whether it is asked to end first, as a launcher has to be, which ends its workers.
    """
    with process:
        try:
            yield process
        finally:
            if asked:
                process.terminate()
                with suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=30)
            process.kill()  # SIGKILL, which no process can answer
