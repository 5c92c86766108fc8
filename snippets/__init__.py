"""The snippets that the pages embed, one component a module."""
