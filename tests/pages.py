"""The pages of the documentation, as tests read them."""

from __future__ import annotations

import re
from pathlib import Path

DOCS = Path(__file__).resolve().parents[1] / "docs"


def section(page: str, title: str) -> str:
    """What a page of `docs` says under a heading, with the headings below it."""
    text = (DOCS / page).read_text(encoding="utf-8")
    ((level, rest),) = re.findall(rf"^(##+) {title}\n(.*)", text, re.DOTALL | re.MULTILINE)
    # One mark alone is no heading of a section: a shell's comments have it.
    return re.split(rf"^#{{2,{len(level)}}} ", rest, maxsplit=1, flags=re.MULTILINE)[0]
