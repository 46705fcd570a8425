"""The story of a search as a note in Markdown."""

from __future__ import annotations

import re

from hpo.report.markup import plain
from hpo.report.records import Study
from hpo.report.story import story


def note(study: Study) -> str:
    """The story, and the command that searches again."""
    lines = [f"# {escaped(study.name)}"]
    for section in story(study):
        lines += ["", f"## {escaped(section.title)}", ""]
        lines += [f"* {escaped(each)}" for each in section.sentences]
    if study.commands:
        lines += ["", "## To search it again", ""]
        # Indented, so that no name can end the block.
        lines += [f"    {plain(each)}" for each in study.commands]
    return "\n".join([*lines, ""])


def escaped(text: str) -> str:
    """``text`` so that Markdown, and HTML inside it, show it as it is."""
    marked = re.sub(r"([\\`*_{}\[\]()#+.!|~$^-])", r"\\\1", plain(text))
    return marked.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
