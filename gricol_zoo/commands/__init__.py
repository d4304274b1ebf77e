"""One module per command: ``HELP``, ``add_options(parser)`` and ``run(options)``, which returns the exit status.

Nothing heavy is imported before ``run``, so ``--help`` is quick.
"""
