"""One module per command, with ``HELP``, ``add_options(parser)`` and ``run(options)``, which returns the exit status.

Heavy libraries are imported only in ``run``, so that ``--help`` is fast.
"""
