"""MkDocs hook: ends a build that fails with one sentence and not with a traceback."""

from mkdocs.exceptions import Abort, BuildError


def on_build_error(error: Exception, **keywords: object) -> None:
    if not isinstance(error, BuildError | SystemExit | KeyboardInterrupt):
        raise Abort(f"The build stopped: {error}") from None
