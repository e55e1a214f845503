"""Hooks of mkdocs: pages made from the code, and blocks that run."""
