"""The files that a page of the documentation shows."""

import re
from pathlib import Path

import longtail

DOCS = Path(longtail.__file__).parent.parent / "docs"
FILE = re.compile(r"^`(?P<name>[\w.]+)`:\n\n```\w+\n(?P<content>.*?)^```$", re.DOTALL | re.MULTILINE)


def write_files(page: str, folder: Path) -> list[str]:
    """Write the files that a page shows under their names, and return these."""
    files = FILE.findall((DOCS / page).read_text(encoding="utf-8"))
    for name, content in files:
        (folder / name).write_text(content, encoding="utf-8")
    return [name for name, _ in files]
