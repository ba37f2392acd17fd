"""The outbox through errors, deaths and outages: `python -m bench faults`.

Two messengers a channel, one in five requests refused, one in ten attempts ended by the death of its messenger before,
between or after telling and marking, and an hour's outage of each channel, of which the waits pass quickly.
"""

import argparse
import logging

from bench.servers import postgres
from monitor.postgres.migration import upgrade
from tests.workers.faults import through_faults


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench faults", description=__doc__)
    parser.add_argument("--notices", type=int, default=10_000)
    parser.add_argument("--channels", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args(arguments)
    logging.getLogger("caldrift").setLevel(logging.CRITICAL)
    with postgres() as dsn:
        upgrade(dsn)
        said = [0.0]

        def say(progress: str) -> None:
            said[0] += 1
            if said[0] % 10 == 1:
                print(progress, flush=True)

        heard = through_faults(dsn, chosen.notices, chosen.seed, channels=chosen.channels, say=say)
    print(f"announcements queued          {heard.queued:,}")
    print(f"told                          {heard.queued - heard.untold:,}")
    print(f"deliveries not marked as told {heard.not_told_by_state:,}")
    print(f"messages accepted             {heard.messages:,}")
    print(f"requests refused              {heard.refused:,}")
    for where, n in sorted(heard.deaths.items()):
        print(f"deaths {where:<23}{n:,}")
    print(f"messages accepted twice       {heard.duplicates:,}, of at most {heard.deaths_after_telling:,}")
    print(f"messages out of order         {heard.out_of_order:,}")
    print(f"seconds                       {heard.seconds:,.0f}")
    if heard.untold or heard.not_told_by_state or heard.out_of_order or heard.duplicates > heard.deaths_after_telling:
        raise SystemExit("the outbox does not hold what it promises")
