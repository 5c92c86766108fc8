"""Jupyter's settings for labs; `notebooks.kernel` says that they stand here.

mkdocs-jupyter executes a notebook and hands on HTML. These calls of nbclient's take the outputs as
the data that they were before.
"""

from notebooks import execution

c = get_config()  # noqa: F821 (Jupyter's)
c.NotebookClient.on_cell_executed = execution.keep
c.NotebookClient.on_cell_error = execution.keep_failed
c.NotebookClient.coalesce_streams = True
c.NotebookClient.timeout = None
