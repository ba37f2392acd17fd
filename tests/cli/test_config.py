"""`caldrift config`, `caldrift check-config` and the options of every command, by the installed command."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from monitor.cli.context import options_first


def caldrift(*args: str, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("CALDRIFT_")}
    command = [sys.executable, "-m", "monitor.cli.app", *args]
    return subprocess.run(command, cwd=cwd, env=clean | environ, capture_output=True, text=True, check=False)


def test_check_config_says_every_mistake_on_stderr_and_exits_with_2(tmp_path: Path) -> None:
    (tmp_path / "caldrift.toml").write_text('[web]\nport = "x"\nhots = "h"\n')
    done = caldrift("check-config", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        'caldrift.toml:2:8: web.port: must be a whole number, got "x"',
        "caldrift.toml:3:1: web.hots: unknown key; did you mean web.host?",
    ]


def test_check_config_is_content_with_good_settings(tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text('[windows]\nmaturity = "12h"\n')
    assert caldrift("check-config", "--config", "other.toml", cwd=tmp_path).returncode == 0
    assert caldrift("--config", "nowhere.toml", "check-config", cwd=tmp_path).returncode == 2


def test_config_show_says_where_each_value_was_given_and_no_secret(tmp_path: Path) -> None:
    (tmp_path / "caldrift.toml").write_text('[windows]\nmaturity = "12h"\n')
    done = caldrift(
        *("config", "show", "--origin", "--json", "--set", "readings.bins=15"),
        cwd=tmp_path,
        CALDRIFT_WEB__TOKEN="hunter2",
        CALDRIFT_POSTGRES__DSN="postgresql://me:hunter2@db/x",
    )
    assert "hunter2" not in done.stdout
    found = json.loads(done.stdout)
    assert found["windows.maturity"] == {"value": "12h", "origin": "caldrift.toml:2:12"}
    assert found["readings.bins"] == {"value": 15, "origin": "--set readings.bins"}
    assert found["web.token"] == {"value": "********", "origin": "CALDRIFT_WEB__TOKEN"}
    assert found["postgres.dsn"]["value"] == "postgresql://me:********@db/x"
    assert found["web.host"] == {"value": "127.0.0.1", "origin": "default"}


def test_the_servers_of_an_embedded_folder_replace_the_configured_ones(tmp_path: Path) -> None:
    servers = {"kafka": "127.0.0.1:1234", "postgres": "postgresql://x@127.0.0.1:9/c", "web": "http://127.0.0.1:2"}
    (tmp_path / "servers.json").write_text(json.dumps(servers))
    (tmp_path / "caldrift.toml").write_text('[kafka]\ngroup_id = "of the folder"\n')
    done = caldrift("config", "show", "--json", "--embedded", str(tmp_path), cwd=tmp_path.parent)
    found = json.loads(done.stdout)
    assert found["kafka.bootstrap_servers"] == ["127.0.0.1:1234"]
    assert found["postgres.dsn"] == "postgresql://x@127.0.0.1:9/c"
    assert found["kafka.group_id"] == "of the folder"


def test_an_embedded_folder_without_servers_is_a_dependency_that_is_away(tmp_path: Path) -> None:
    done = caldrift("config", "show", cwd=tmp_path, CALDRIFT_EMBEDDED=str(tmp_path))
    assert done.returncode == 3
    assert "no servers run in" in done.stderr


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["run", "--embedded", "d"], ["--embedded", "d", "run"]),
        (["a", "--config=x", "b", "--set", "k=v"], ["--config=x", "--set", "k=v", "a", "b"]),
        (["a", "--", "--config", "x"], ["a", "--", "--config", "x"]),
        (["a", "--config"], ["--config", "a"]),
    ],
)
def test_the_options_of_every_command_may_stand_after_its_name(args: list[str], expected: list[str]) -> None:
    assert options_first(args) == expected
