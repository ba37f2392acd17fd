"""What `--help` says of the commands."""

from typer.testing import CliRunner

from monitor.cli.app import app


def helped(*group: str) -> list[str]:
    """The lines of a group's commands, as a terminal of 80 columns shows them."""
    shown = CliRunner().invoke(app, [*group, "--help"], env={"COLUMNS": "80"})
    return shown.output.partition("\nCommands:\n")[2].splitlines()


def test_every_command_is_summed_up_in_a_whole_sentence() -> None:
    commands = [line.split()[0] for line in helped()]
    lines = [line for name in commands for line in helped(name)] + helped()
    assert [line for line in lines if not line.endswith((".", "?"))] == []
    assert [line for line in lines if line.endswith("...")] == []
    assert len(lines) > 60


def test_commands_stand_in_the_order_of_their_names() -> None:
    names = [line.split()[0] for line in helped()]
    assert names == sorted(names)


def test_no_option_is_told_in_types_of_python() -> None:
    groups = [(), *((line.split()[0],) for line in helped())]
    commands = [(*group, line.split()[0]) for group in groups for line in helped(*group)]
    shown = [CliRunner().invoke(app, [*command, "--help"], env={"COLUMNS": "80"}).output for command in commands]
    options = [line for text in shown for line in text.splitlines() if line.startswith("  --")]
    assert len(options) > 200
    assert [line for line in options if "list[" in line] == []
