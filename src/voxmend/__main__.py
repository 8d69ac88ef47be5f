"""`python -m voxmend` is the command `voxmend`."""

from .cli.main import command

command()
