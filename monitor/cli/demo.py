"""`caldrift demo`: the shipped service on embedded servers of its own, simulated traffic into its broker, and stand-ins
for Slack and PagerDuty, which it tells of alerts."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

if TYPE_CHECKING:
    from monitor.demo.receivers import Receivers

PREFIX: Final = "caldrift-demo-"
READY_SECONDS: Final = 90.0
STOP_SECONDS: Final = 40.0
STARTING_SECONDS: Final = 30.0
"""A folder so young may belong to a demo that has not yet taken its lock."""

SETTINGS: Final = """\
[windows]
lengths = ["1d", "7d"]
maturity = "12h"
evaluate_every = "2h"

[segments.dimensions.difficulty]
field = "prompt_tokens"
cuts = [200, 1000]
names = ["easy", "medium", "hard"]

[retention]
label_horizon = "60d"

[recalibration]
schedule = "0 0 * * 1"

[recalibration.models.risk-scorer]
mode = "automatic"
on_alerts = ["OverConfident", "Drift"]

[clock]
rate = {rate}

[web]
port = {port}
public_url = "{web}"
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demo")(demo)


def demo(
    *,
    port: Annotated[int, typer.Option(min=0, max=65535, help="The page's port; another where it is taken.")] = 8321,
    receivers_port: Annotated[
        int, typer.Option(min=0, max=65535, help="The port of the stand-ins for Slack and PagerDuty, likewise.")
    ] = 8322,
    rate: Annotated[float, typer.Option(min=1.0, help="Seconds of the demo's clock in one second.")] = 3600.0,
    history: Annotated[int, typer.Option(min=0, help="Predictions of the month before the start.")] = 75_000,
    per_second: Annotated[float, typer.Option(min=0.0, help="Live predictions a second.")] = 120.0,
    drift_after: Annotated[
        float, typer.Option(min=0.0, help="Seconds of live traffic before a segment drifts.")
    ] = 30.0,
    drift_seconds: Annotated[float, typer.Option(min=0.0, help="Seconds until it is well again.")] = 240.0,
    seed: Annotated[int, typer.Option(help="The same seed makes the same traffic.")] = 1,
    slack_webhook: Annotated[
        str | None,
        typer.Option(metavar="URL", help="An incoming webhook of a real Slack, which is told too."),
    ] = None,
) -> None:
    """Watch simulated models through the real service. Nothing is installed, and nothing is left behind."""
    from monitor.demo.receivers import receiving
    from monitor.workers.lifeline import stop_event

    _check_hook(slack_webhook)
    stop = stop_event(supervised=False)
    web = f"http://127.0.0.1:{_free_port(port)}"
    with _temporary_folder() as folder, receiving(receivers_port, web) as receivers:
        _write_settings(folder, rate, web, receivers, hooked=slack_webhook is not None)
        told = _secrets(receivers, slack_webhook)
        with _child(_service_command(folder), folder / "service.log", told) as service:
            servers = _wait_until_ready(folder, service, stop.is_set)
            if servers is None:
                raise typer.Exit(_failed(service, folder / "service.log", stopped=stop.is_set()))
            print(f"{servers['web']}  is the page to look at; Ctrl-C stops the demo and removes it")
            print(f"{receivers.url}  shows what Slack and PagerDuty are told", flush=True)
            document = _traffic_settings(
                servers,
                seed=seed,
                history=history,
                per_second=per_second,
                drift_after=drift_after,
                drift_seconds=drift_seconds,
            )
            with _child(_traffic_command(document), folder / "traffic.log", says=True):
                while not stop.wait(0.2) and service.poll() is None:
                    pass
            if not stop.is_set():
                raise typer.Exit(_failed(service, folder / "service.log", stopped=False))


def _free_port(wanted: int) -> int:
    """The page's port, which messages link to before the page is there."""
    from monitor.demo.ports import free_port

    return free_port(wanted)


def _check_hook(url: str | None) -> None:
    """Raises BadSettings, which does not repeat the URL: it is a secret."""
    from urllib.parse import urlsplit

    from monitor.errors import BadSettings

    if url is not None and (urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).hostname):
        raise BadSettings(["--slack-webhook: must be a URL such as https://hooks.slack.com/services/..."])


def _write_settings(folder: Path, rate: float, web: str, receivers: "Receivers", *, hooked: bool) -> None:
    from monitor.demo.rules import rule_file

    port = web.rpartition(":")[2]
    (folder / "caldrift.toml").write_text(SETTINGS.format(rate=rate, port=port, web=web), encoding="utf-8")
    rules = rule_file(receivers.slack_url, receivers.pagerduty_url, hooked=hooked)
    (folder / "alerts.yaml").write_text(rules, encoding="utf-8")


def _secrets(receivers: "Receivers", slack_webhook: str | None) -> dict[str, str]:
    """What the service finds in its environment: secrets of channels, and that no proxy is between it and them."""
    from monitor.demo.ports import LOOPBACK
    from monitor.demo.rules import BOT_VARIABLE, HOOK_VARIABLE, PAGER_VARIABLE

    direct = ",".join(filter(None, (os.environ.get("no_proxy") or os.environ.get("NO_PROXY"), LOOPBACK)))
    return {
        BOT_VARIABLE: receivers.slack.token,
        PAGER_VARIABLE: receivers.pagerduty.routing_key,
        **({HOOK_VARIABLE: slack_webhook} if slack_webhook else {}),
        "no_proxy": direct,
        "NO_PROXY": direct,
    }


def _service_command(folder: Path) -> list[str]:
    command = [sys.executable, "-P", "-m", "monitor.cli.app", "--embedded", str(folder)]
    return [*command, "run", "--volatile", "--supervised"]


def _traffic_command(document: str) -> list[str]:
    return [sys.executable, "-P", "-m", "monitor.demo.traffic", document]


def _traffic_settings(
    servers: dict[str, object],
    *,
    seed: int,
    history: int,
    per_second: float,
    drift_after: float,
    drift_seconds: float,
) -> str:
    import msgspec

    from monitor.demo.traffic import TrafficSettings

    clock = msgspec.convert(servers["clock"], dict[str, str | float])
    settings = TrafficSettings(
        bootstrap=str(servers["kafka"]),
        predictions_topic="predictions",
        labels_topic="labels",
        epoch_at=datetime.fromisoformat(str(clock["epoch_at"])),
        started_at=datetime.fromisoformat(str(clock["started_at"])),
        rate=float(clock["rate"]),
        seed=seed,
        history=history,
        per_second=per_second,
        drift_after_seconds=drift_after,
        drift_seconds=drift_seconds,
        web=str(servers["web"]),
    )
    return msgspec.json.encode(settings).decode()


@contextmanager
def _temporary_folder() -> Iterator[Path]:
    """A folder that is removed at the end, and with it those of earlier demos that were killed."""
    _sweep(Path(tempfile.gettempdir()))
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    if os.geteuid() == 0:
        folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sweep(parent: Path) -> None:
    """Remove our folders of demos that nobody runs any more, after ending what a kill left running in them."""
    from monitor.demo.embedded import is_owned
    from monitor.demo.processes import Ledger

    for folder in parent.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):
            ours = folder.is_dir() and folder.stat().st_uid == os.geteuid()
            age_seconds = time.time() - (folder / "lock").stat().st_mtime
            if ours and age_seconds > STARTING_SECONDS and not is_owned(folder):
                Ledger(folder / "processes.json").end_survivors()
                shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _child(
    command: list[str], log: Path, told: Mapping[str, str] | None = None, *, says: bool = False
) -> Iterator[subprocess.Popen[bytes]]:
    """A process that ends with this block, in order where it can, and with this process however that ends.

    It is `told` variables; if it `says` something, that is said to whoever watches the demo.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CALDRIFT_")}
    with log.open("ab") as output:
        process = subprocess.Popen(  # noqa: S603 - our own command
            command,
            stdin=subprocess.PIPE,
            stdout=None if says else output,
            stderr=output,
            env={**environment, **(told or {})},
            start_new_session=True,
        )
    try:
        yield process
    finally:
        if process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_ready(
    folder: Path, service: subprocess.Popen[bytes], stopped: Callable[[], bool]
) -> dict[str, object] | None:
    """The addresses, once the service is ready; None when it ended, was stopped, or took too long."""
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and service.poll() is None and not stopped():
        with contextlib.suppress(FileNotFoundError):
            found: dict[str, object] = json.loads((folder / "servers.json").read_bytes())
            return found
        time.sleep(0.05)
    return None


def _failed(service: subprocess.Popen[bytes], log: Path, *, stopped: bool) -> int:
    """The exit status of a demo that did not come up or went down by itself; says why, from the service's log."""
    if stopped:
        return 0
    print("caldrift: the demo's service did not run; the end of its log:", file=sys.stderr)
    print("\n".join(log.read_text(errors="replace").splitlines()[-15:]), file=sys.stderr)
    return service.poll() or 1
