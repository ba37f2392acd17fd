"""Two kinds of picture as SVG text: lines over a logarithmic axis, and bars against a mark."""

import math
from collections.abc import Mapping, Sequence
from html import escape

COLOURS = ("#0b5cad", "#b3541e", "#2e7d32", "#7b3fa0", "#8a6d00", "#5f6368")
WIDTH, HEIGHT = 860, 380
LEFT, RIGHT, TOP, BOTTOM = 70, 330, 50, 50


def _frame(title: str, body: Sequence[str], height: int = HEIGHT) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'font-family="system-ui, sans-serif" font-size="13" fill="#202124"><title>{escape(title)}</title>'
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>'
        f'<text x="16" y="26" font-size="15">{escape(title)}</text>'
    )
    return "\n".join([head, *body, "</svg>"]) + "\n"


def lines(title: str, across: str, up: str, series: Mapping[str, Sequence[tuple[float, float]]]) -> str:
    """Curves of (x, y) points by name; y on a logarithmic axis. Points that are not finite are left out."""
    kept = {name: [(x, y) for x, y in points if math.isfinite(y) and y > 0] for name, points in series.items()}
    xs = sorted({x for points in kept.values() for x, _ in points})
    ys = [y for points in kept.values() for _, y in points]
    low, high = math.floor(math.log10(min(ys))), math.ceil(math.log10(max(ys)))
    plot_width, plot_height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def at(x: float, y: float) -> tuple[float, float]:
        share = (math.log10(y) - low) / (high - low)
        return LEFT + (x - xs[0]) / (xs[-1] - xs[0]) * plot_width, TOP + plot_height * (1 - share)

    body = []
    for power in range(low, high + 1):
        _, y = at(xs[0], 10.0**power)
        body.append(f'<path d="M{LEFT} {y:.1f}H{LEFT + plot_width}" stroke="#dadce0"/>')
        body.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{10**power:,}</text>')
    for value in xs:
        x, _ = at(value, 10.0**low)
        body.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle">{value:g}</text>')
    body.append(f'<text x="{LEFT + plot_width / 2:.1f}" y="{HEIGHT - 8}" text-anchor="middle">{escape(across)}</text>')
    body.append(f'<text x="{LEFT}" y="{TOP - 8}">{escape(up)}</text>')
    for place, (name, points) in enumerate(kept.items()):
        colour = COLOURS[place % len(COLOURS)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (at(*point) for point in points))
        body.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        body += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in (at(*p) for p in points)]
        y = TOP + 14 + 20 * place
        body.append(f'<path d="M{LEFT + plot_width + 16} {y - 4}h18" stroke="{colour}" stroke-width="3"/>')
        body.append(f'<text x="{LEFT + plot_width + 40}" y="{y}">{escape(name)}</text>')
    return _frame(title, body)


def bars(title: str, across: str, shares: Mapping[str, float]) -> str:
    """One horizontal bar a name, with a mark at 1."""
    left, right, row = 330, 60, 24
    height = TOP + row * len(shares) + BOTTOM
    longest = max(1.2, *shares.values())
    unit = (WIDTH - left - right) / longest
    body = []
    for place, (name, share) in enumerate(shares.items()):
        y = TOP + row * place
        colour = COLOURS[0] if share <= 1 else COLOURS[1]
        body.append(f'<text x="{left - 10}" y="{y + 15}" text-anchor="end">{escape(name)}</text>')
        body.append(f'<rect x="{left}" y="{y + 3}" width="{max(share * unit, 1):.1f}" height="16" fill="{colour}"/>')
        body.append(f'<text x="{left + share * unit + 6:.1f}" y="{y + 15}">{share:.2f}</text>')
    bottom = TOP + row * len(shares)
    body.append(f'<path d="M{left + unit:.1f} {TOP - 6}V{bottom + 4}" stroke="#202124" stroke-dasharray="4 3"/>')
    body.append(f'<text x="{left + unit:.1f}" y="{bottom + 20}" text-anchor="middle">promised</text>')
    body.append(f'<text x="{WIDTH - right}" y="{bottom + 40}" text-anchor="end">{escape(across)}</text>')
    return _frame(title, body, height)
