"""The `mezzo` command. Each subcommand lives in a module of its own, loaded when it is called."""

from __future__ import annotations

import importlib

import click

import mezzo

# name -> module holding a click command called `command`; its first docstring line is the help.
_COMMANDS = {
    "bench": "mezzo.cli.bench",
    "demo": "mezzo.cli.demo",
    "doctor": "mezzo.cli.doctor",
    "segment": "mezzo.cli.segment",
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are asked for: `mezzo --version` loads none."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of the commands, in the order of help."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command called cmd_name, or None, of which click makes a usage error."""
        module = _COMMANDS.get(cmd_name)
        return None if module is None else importlib.import_module(module).command


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(mezzo.__version__, "-V", "--version", message="mezzo %(version)s")
def main() -> None:
    """Deep learning with PyTorch's API, on kernels generated for this machine."""
