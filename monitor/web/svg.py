"""Markup as values: one function that makes an element, and the few that charts share. Pure, deterministic."""

from collections.abc import Iterable

from markupsafe import Markup, escape

EMPTY = Markup("")


def number(value: float) -> str:
    """A coordinate with at most two decimals, never in exponent form and never `-0`."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text in {"-0", ""} else text


def tag(name: str, *children: str, **attributes: str | float | None) -> Markup:
    """One element. Children that are not `Markup` are escaped, and so are attributes; one of None is left out.

    Python words take a trailing underscore (`class_`), and `_` inside a name becomes `-` (`text_anchor`).
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(value) if isinstance(value, str) else number(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    inside = "".join(escape(child) for child in children)
    return Markup(f"<{name}{written}>{inside}</{name}>")  # noqa: S704 - every part is escaped above


def join(parts: Iterable[str]) -> Markup:
    """Elements in a row; a part that is not `Markup` is escaped."""
    return Markup("").join(parts)


def path(points: Iterable[tuple[float, float]], *, closed: bool = False) -> str:
    """The `d` of a path through the points."""
    moves = [f"{'L' if place else 'M'}{number(x)} {number(y)}" for place, (x, y) in enumerate(points)]
    return " ".join(moves) + (" Z" if closed and moves else "")


def picture(ident: str, width: float, height: float, title: str, description: str, *children: str) -> Markup:
    """An `<svg>` that scales with its column. To a screen reader it is one image with title and description."""
    return Markup(  # noqa: S704 - every part is escaped
        f'<svg class="chart" viewBox="0 0 {number(width)} {number(height)}" role="img" '
        f'aria-labelledby="{escape(ident)}-title {escape(ident)}-desc" xmlns="http://www.w3.org/2000/svg">'
        f"{tag('title', title, id=f'{ident}-title')}{tag('desc', description, id=f'{ident}-desc')}"
        f"{join(children)}</svg>"
    )


def marker(shape: str, x: float, y: float, radius: float, css: str) -> Markup:
    """A mark of one area whatever its shape: `circle`, `down` (triangle), `up` (triangle) or `diamond`."""
    if shape == "circle":
        return tag("circle", cx=x, cy=y, r=radius, class_=css)
    if shape == "diamond":
        reach = radius * 1.25
        return tag(
            "path", d=path([(x, y - reach), (x + reach, y), (x, y + reach), (x - reach, y)], closed=True), class_=css
        )
    half, rise = radius * 1.3, radius * (1.15 if shape == "down" else -1.15)
    return tag(
        "path",
        d=path([(x - half, y - rise * 0.75), (x + half, y - rise * 0.75), (x, y + rise)], closed=True),
        class_=css,
    )
