"""The package's exceptions: for mistakes that the caller can fix, and for files that cannot be read or trusted.

``GricolZooError`` (a ValueError): ``ImageError``, ``LeakError`` and ``CheckpointError``. Kinds of ``CheckpointError``:
``NoWeightsError``, ``ConfigError``, ``CorruptWeightsError``, ``SignatureError`` and ``HubError``. Kinds of ``HubError``:
``NotOnHubError``, ``NoAccessError``, ``UnreachableError`` and ``CacheError``.
"""


class GricolZooError(ValueError):
    """A mistake in a request: the message says what was expected, what was given and what to do.

    The command line prints it as one line and exits with 2; in Python it is an ordinary ``ValueError``.
    """


class ImageError(GricolZooError):
    """An image that cannot be used: unreadable, too large, blank, or with non-finite pixels."""


class LeakError(GricolZooError):
    """The same cell, case or image is in two parts of a split."""


class CheckpointError(GricolZooError):
    """A checkpoint or weight file that is missing, or that belongs to another model."""


class NoWeightsError(CheckpointError, RuntimeError):
    """A model that has no released weights; also a ``RuntimeError``, which timm's callers expect."""


class ConfigError(CheckpointError):
    """A config.json, or another JSON file, that is unreadable, has another format, or has content that is not of this zoo."""


class CorruptWeightsError(CheckpointError):
    """A file whose bytes do not match its hash, its size or its header."""


class SignatureError(CheckpointError):
    """A required signature that is missing, was made with another key, or was made for other bytes."""


class HubError(CheckpointError):
    """The Hub did not deliver what was requested; each kind of reason is a subclass."""


class NotOnHubError(HubError):
    """No such repository, revision or file; a private one looks the same without a token."""


class NoAccessError(HubError):
    """A gated repository, or a token that is not accepted."""


class UnreachableError(HubError):
    """No answer, or offline mode, and the file is not in the cache."""


class CacheError(HubError):
    """The cache folder cannot be written to: the disk is full, or the folder is read-only or belongs to another user."""


class QualityWarning(UserWarning):
    """An image or a cell that differs from those that the weights were trained on, or that could not be checked."""


class ShapeWarning(QualityWarning):
    """A chromosome whose mask or medial axis cannot be measured, in a training that would have learnt from it."""
