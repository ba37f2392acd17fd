"""A chart as a PNG has the size, the colours and the words of the chart on the page."""

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import resvg_py
from PIL import Image

from monitor.calibration.cells import Int64Array
from monitor.errors import BadInput, Unavailable
from monitor.web import rasters
from monitor.web.charts import HEIGHT, WIDTH, reliability_diagram
from monitor.web.tables import nothing
from tests.embedded import missing
from tests.web.test_charts import reading_of

pytestmark = pytest.mark.usefixtures("font")

OVER_CONFIDENT = str(reliability_diagram(reading_of([(0.9, 0.0)] * 30)).picture)
FAIR = str(reliability_diagram(reading_of([(0.5, 0.0), (0.5, 1.0)] * 30)).picture)
ORANGE, BLUE = (0xD9, 0x6A, 0x12), (0x2A, 0x78, 0xC8)


def pixels(png: bytes) -> Int64Array:
    """The red, green and blue (H, W, 3) of a PNG of eight bits with alpha."""
    with Image.open(BytesIO(png), formats=["PNG"]) as image:
        assert image.mode == "RGBA"
        return np.asarray(image, np.int64)[:, :, :3]


def has(image: Int64Array, colour: tuple[int, int, int]) -> bool:
    return bool((np.abs(image - np.array(colour)).max(axis=2) <= 2).any())


def test_the_picture_is_as_wide_as_asked_and_as_high_as_the_chart() -> None:
    image = pixels(rasters.png(OVER_CONFIDENT, width=180))
    assert image.shape[:2] == (round(180 * HEIGHT / WIDTH), 180)


def test_the_marks_have_the_colours_of_the_page() -> None:
    over, fair = (pixels(rasters.png(picture, width=180)) for picture in (OVER_CONFIDENT, FAIR))
    assert (has(over, ORANGE), has(over, BLUE)) == (True, False)
    assert (has(fair, ORANGE), has(fair, BLUE)) == (False, True)
    assert has(over, (255, 255, 255))


def test_words_are_drawn() -> None:
    wordless = OVER_CONFIDENT.replace("stated confidence", "")
    assert rasters.png(OVER_CONFIDENT) != rasters.png(wordless)


def test_words_in_place_of_a_picture_are_refused() -> None:
    with pytest.raises(BadInput, match="not a picture"):
        rasters.png(str(nothing("Reliability diagram", "Not enough labels").picture))


@contextmanager
def fonts(monkeypatch: pytest.MonkeyPatch, *files: str) -> Iterator[None]:
    """As on a machine that has these fonts, and no word about what its sans-serif is."""
    drawn = resvg_py.svg_to_bytes

    def with_these(**options: object) -> bytes:
        return drawn(**{**options, "skip_system_fonts": True, "font_files": list(files)})  # type: ignore[arg-type]  # as it was called

    with monkeypatch.context() as patched:
        patched.setattr(resvg_py, "svg_to_bytes", with_these)
        rasters._font.cache_clear()
        try:
            yield
        finally:
            rasters._font.cache_clear()


def test_without_a_font_no_picture_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    with fonts(monkeypatch), pytest.raises(Unavailable, match=r"no font is installed.* one of DejaVu Sans, "):
        rasters.png(OVER_CONFIDENT)


def test_one_font_is_enough_whatever_the_system_calls_its_sans_serif(monkeypatch: pytest.MonkeyPatch) -> None:
    found = next(Path("/usr/share/fonts").rglob("DejaVuSans.ttf"), None)
    if found is None:
        missing("Debian's fonts-dejavu-core has the one font")
    with fonts(monkeypatch, str(found)):
        test_words_are_drawn()
