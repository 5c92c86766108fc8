"""The checks of the components, the pages, the built site and what a browser shows."""

from pathlib import Path

ROOT = Path(__file__).parents[1]
