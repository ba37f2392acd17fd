"""The same checkout run by an account without privileges: root may hide what a normal user runs into.

    python -m tests.unprivileged make smoke

Copies what git knows into a folder of the account, and runs the command there with a Python that the account may use.
An ordinary user needs no such thing: its own run was that already.
"""

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

ACCOUNT: Final = "nobody"
ROOT: Final = Path(__file__).resolve().parent.parent
KEPT: Final = {"PATH", "LANG", "CI", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"}
PROBE: Final = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))"


def copy_checkout(folder: Path) -> None:
    """Every file that git tracks or does not ignore."""
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True,
    ).stdout  # fmt: skip
    for name in (part.decode() for part in listed.split(b"\0") if part):
        source, target = ROOT / name, folder / name
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)


def python_for(account: pwd.struct_passwd) -> str | None:
    """A Python 3.11 or newer, with venv, that the account may run."""
    candidates = [
        os.environ.get("PYTHON"),
        sys.executable,
        *(f"/usr/bin/python3{minor}" for minor in ("", ".11", ".12", ".13")),
    ]
    for candidate in dict.fromkeys(path for path in candidates if path and Path(path).exists()):
        try:
            found = subprocess.run(
                [str(Path(candidate)), "-c", PROBE], user=account.pw_uid, group=account.pw_gid, extra_groups=[],
                cwd="/", stdin=subprocess.DEVNULL, capture_output=True, check=False,
            )  # fmt: skip
        except OSError:
            continue
        if found.returncode == 0:
            return candidate
    return None


def main(command: Sequence[str]) -> int:
    if os.geteuid() != 0:
        print("no need to change the account: this is not root", file=sys.stderr)
        return 0
    account = pwd.getpwnam(ACCOUNT)
    python = python_for(account)
    if python is None:
        print(f"{ACCOUNT} may run no Python 3.11 with venv (Debian: python3-venv)", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="caldrift-unprivileged-") as place:
        copy = Path(place) / "checkout"
        copy_checkout(copy)
        home = Path(place) / "home"
        home.mkdir()
        for path in [Path(place), *Path(place).rglob("*")]:
            os.chown(path, account.pw_uid, account.pw_gid)
        environment = {
            name: value for name, value in os.environ.items() if name.upper() in KEPT or name.startswith("PIP_")
        }
        environment |= {"HOME": str(home), "PYTHON": python, "USER": ACCOUNT}
        return subprocess.run(
            [*command, f"PYTHON={python}"] if command[:1] == ["make"] else list(command),
            cwd=copy, env=environment, user=account.pw_uid, group=account.pw_gid, extra_groups=[],
            stdin=subprocess.DEVNULL, check=False,
        ).returncode  # fmt: skip


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
