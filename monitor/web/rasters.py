"""A chart as a PNG, for what shows no SVG: the same picture in the page's light colours."""

import re
from functools import lru_cache
from pathlib import Path
from typing import Final

import resvg_py

from monitor.errors import BadInput, Unavailable

WIDTH: Final = 900
"""Pixels: sharp where a chat shows the picture half as wide."""
_SHEET: Final = Path(__file__).with_name("static") / "caldrift.css"
_RULE: Final = re.compile(r"^\.chart[^\n{]*\{[^}]*\}", re.MULTILINE)
_FONTS: Final = (
    "DejaVu Sans", "Noto Sans", "Liberation Sans", "Arial", "Helvetica", "Roboto", "Open Sans", "Ubuntu", "Cantarell",
    "Segoe UI", "FreeSans",
)  # fmt: skip
_PROBE: Final = '<svg xmlns="http://www.w3.org/2000/svg" width="20" height="20"><text x="2" y="15">{}</text></svg>'


def png(picture: str, width: int = WIDTH) -> bytes:
    """The `<svg>` of a Figure, `width` pixels wide on white.

    Raises BadInput for a figure that holds words in place of a picture, and Unavailable where none of the fonts that we
    know by name is installed: a picture would come out with all its words missing, and would not say so.
    """
    font = _font()
    try:
        return resvg_py.svg_to_bytes(
            svg_string=picture,
            style_sheet=_colours(),
            background="#ffffff",
            width=width,
            font_family=font,
            sans_serif_family=font,
        )
    except ValueError as failure:
        raise BadInput(f"not a picture: {failure}") from failure


@lru_cache(maxsize=1)
def _colours() -> str:
    """The sheet's rules for charts; resvg knows no variables, so each is written as its value in the light scheme."""
    sheet = _SHEET.read_text(encoding="utf-8")
    light = dict(re.findall(r"--([\w-]+): ([^;]+);", sheet[: sheet.index("@media")]))
    return re.sub(r"var\(--([\w-]+)\)", lambda found: light[found[1]], "\n".join(_RULE.findall(sheet)))


@lru_cache(maxsize=1)
def _font() -> str:
    """The first of our fonts that is installed. What a system calls its sans-serif may be one that it does not have."""
    nothing = resvg_py.svg_to_bytes(svg_string=_PROBE.format(""))
    for font in _FONTS:
        if resvg_py.svg_to_bytes(svg_string=_PROBE.format("X"), font_family=font) != nothing:
            return font
    raise Unavailable(f"no font is installed, a picture would have no words: it takes one of {', '.join(_FONTS)}")
