"""The `caldrift` command. Each module of this package adds its commands; heavy imports stay inside them."""

import sys
import traceback
from typing import Final

import typer

from monitor.cli import (
    alerts,
    audit,
    backtest,
    calibrators,
    chain,
    compare,
    config,
    context,
    db,
    dead_letters,
    deliver,
    demo,
    doctor,
    drift,
    evaluate,
    ingest,
    limits,
    measure,
    notify,
    offsets,
    outbox,
    reading,
    recalibrate,
    replay,
    report,
    review,
    rules,
    run,
    series,
    silence,
    status,
    testrules,
    thresholds,
    web,
)
from monitor.errors import BadInput, BadSettings, CaldriftError, Unavailable

#: A mistake of ours: the supervisor starts such a role again, while 1 and 2 are answers that stand.
EXIT_UNFORESEEN: Final = 70

app = typer.Typer(
    name="caldrift",
    cls=context.CommandGroup,
    callback=context.remember,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

alerts.register(app)
audit.register(app)
backtest.register(app)
calibrators.register(app)
chain.register(app)
compare.register(app)
config.register(app)
db.register(app)
dead_letters.register(app)
deliver.register(app)
demo.register(app)
doctor.register(app)
drift.register(app)
evaluate.register(app)
ingest.register(app)
limits.register(app)
measure.register(app)
notify.register(app)
offsets.register(app)
outbox.register(app)
reading.register(app)
recalibrate.register(app)
replay.register(app)
review.register(app)
rules.register(app)
report.register(app)
run.register(app)
series.register(app)
silence.register(app)
status.register(app)
testrules.register(app)
thresholds.register(app)
web.register(app)


def main() -> None:
    """Run the command line; every foreseen failure is one line on stderr and an exit code of its own."""
    try:
        app()
    except BadSettings as failure:
        print(failure, file=sys.stderr)
        sys.exit(2)
    except BadInput as failure:  # of an option or a file that was named: what comes by Kafka becomes a dead letter
        print(f"caldrift: {failure}", file=sys.stderr)
        sys.exit(2)
    except Unavailable as failure:
        print(f"caldrift: {failure}", file=sys.stderr)
        sys.exit(3)
    except CaldriftError as failure:
        print(f"caldrift: {failure}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception:  # noqa: BLE001 - shown in full, and told apart from every foreseen end
        traceback.print_exc()
        sys.exit(EXIT_UNFORESEEN)


if __name__ == "__main__":
    main()
