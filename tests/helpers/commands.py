"""The commands, called in this process."""

from gricol_zoo.cli import main


def run(*arguments):
    try:
        return main([str(argument) for argument in arguments])
    except SystemExit as stop:
        return stop.code
