"""The one exception family for mistakes that the caller can mend."""


class GricolZooError(ValueError):
    """A mistake in what was asked for: the message says what was expected, what came and what to do.

    The command line prints it as one line and exits with 2; in Python it is an ordinary ``ValueError``.
    """


class CheckpointError(GricolZooError):
    """A checkpoint or weight file that is missing, cut, altered, or of another model."""


class ImageError(GricolZooError):
    """An image that cannot be used: unreadable, too large, blank, or with non-finite pixels."""


class LeakError(GricolZooError):
    """The same cell, case or image stands in two parts of a split."""
