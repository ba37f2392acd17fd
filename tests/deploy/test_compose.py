"""What can be checked of the deployment files without a container engine."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from monitor.config.loading import load_settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """The compose file, read with its anchors resolved."""
    read: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return read


def test_every_file_that_the_compose_file_mounts_exists(compose: dict[str, Any]) -> None:
    mounts = [each.split(":")[0] for service in compose["services"].values() for each in service.get("volumes", [])]
    missing = [each for each in mounts if each.startswith(".") and not (DEPLOY / each).exists()]
    assert missing == []


def test_every_named_volume_service_and_secret_is_declared(compose: dict[str, Any]) -> None:
    services = compose["services"]
    mounts = [each.split(":")[0] for service in services.values() for each in service.get("volumes", [])]
    assert {each for each in mounts if not each.startswith(".")} <= set(compose["volumes"])
    assert {name for service in services.values() for name in service.get("secrets", [])} <= set(compose["secrets"])
    assert {name for service in services.values() for name in service.get("depends_on", [])} <= set(services)


def test_the_environment_of_the_compose_file_is_good_settings(compose: dict[str, Any], tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("a-token-that-is-long-enough")
    given = compose["services"]["caldrift"]["environment"]
    environ = {
        name: str(token) if name.endswith("TOKEN_FILE") else re.sub(r"\$\{[^}]*\}", "secret", value)
        for name, value in given.items()
    }
    settings = load_settings(None, environ, {})
    assert settings.web.host == "0.0.0.0"
    assert settings.web.token is not None
    assert settings.postgres.read_role == "grafana"


def test_the_image_holds_what_the_package_is_built_from() -> None:
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    names = {name for line in copied for name in line.split()}
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert all((ROOT / name).exists() and f"!{name}" in ignored for name in names)
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    assert {package.split(".")[0] for package in packages} <= names


def test_every_package_of_the_source_tree_is_in_the_wheel() -> None:
    listed = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    folders = {path.parent.relative_to(ROOT) for path in (ROOT / "monitor").rglob("__init__.py")}
    assert {".".join(folder.parts) for folder in folders} <= listed
