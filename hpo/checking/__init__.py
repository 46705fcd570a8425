"""Checks before a search: of the rows and columns, and of the network that would be trained."""
