"""`caldrift chain`: how often several answers in a row are all right."""

import sys
from typing import Annotated

import typer

from monitor.cli import options
from monitor.errors import BadInput


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("chain")(chain)


def chain(
    step: Annotated[
        list[str], typer.Argument(metavar="STEP", help="How often each step is right: 0.9, 90%, or counted: 45/50.")
    ],
    *,
    times: Annotated[int, typer.Option(min=1, help="The steps so many times over.")] = 1,
    target: Annotated[
        float | None, typer.Option(help="Say how often each step must be right for the chain to reach this.")
    ] = None,
    delta: Annotated[float, typer.Option(help="Of the bounds where every step was counted.")] = 0.05,
    as_json: options.Json = False,
) -> None:
    """Calculate a chain of steps that must all be right.

    For independent errors, and the worst and best case otherwise.
    """
    import msgspec

    from monitor.calibration.chains import chain as chained
    from monitor.calibration.chains import needed, parsed_step

    if target is not None and not 0 < target < 1:
        raise BadInput(f"--target must lie between 0 and 1, got {target:g}", "chain")
    if not 0 < delta <= 0.5:
        raise BadInput(f"--delta must be above 0 and at most 0.5, got {delta:g}", "chain")
    steps = [parsed_step(text) for text in step] * times
    found = chained(steps, delta)
    wanted = None if target is None else needed(target, len(steps))
    if as_json:
        body = {"schema": 1, "chain": found, "target": target, "needed": wanted}
        sys.stdout.write(msgspec.json.encode(body).decode() + "\n")
        return
    print(f"{len(steps)} steps: all right {found.product:.3f} of the time if errors are independent")
    print(f"whatever the dependence: {found.worst:.3f} (errors never meet) to {found.best:.3f} (they always do)")
    if found.lower_product is not None and found.lower_worst is not None:
        sure = f"at {100 * (1 - delta):g} %"
        print(f"as counted, {sure} at least {found.lower_product:.3f} if independent, {found.lower_worst:.3f} whatever")
    if target is not None and wanted is not None:
        print(
            f"for {target:g}, each step must be right {wanted.independent:.4f} of the time if independent, "
            f"{wanted.whatever_the_dependence:.4f} whatever the dependence"
        )
