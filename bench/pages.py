"""Tables that a benchmark puts into a page which is otherwise written by hand, between two marks."""

from pathlib import Path


def put(page: Path, name: str, text: str) -> None:
    """Replace what stands between the marks of this name."""
    start, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->\n"
    whole = page.read_text(encoding="utf-8")
    before, mark, rest = whole.partition(start)
    _, last, after = rest.partition(end)
    if not (mark and last):
        raise ValueError(f"{page} has no marks of {name}")
    page.write_text(before + start + text + end + after, encoding="utf-8")
