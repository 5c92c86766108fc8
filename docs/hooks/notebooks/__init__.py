"""What makes a page and a notebook of a lab, one job a module.

`snippets` puts a snippet's code in the place of its import, `lab` reads a script into a notebook
that needs nothing else, `kernel` gives it an environment of its own, `execution` runs it and keeps
what it put out, `outputs` checks that and writes it as HTML. `docs/hooks/labs.py` ties them to
MkDocs, which lets a hook import what stands beside it.
"""
