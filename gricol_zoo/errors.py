"""The one exception family for mistakes that the caller can fix, and for files that cannot be read or trusted.

``GricolZooError`` (a ValueError): ``ImageError``, ``LeakError`` and ``CheckpointError``. Kinds of ``CheckpointError``:
``NoWeightsError``, ``ConfigError``, ``CorruptWeightsError``, ``SignatureError`` and ``HubError``. Kinds of ``HubError``:
``NotOnHubError``, ``NoAccessError``, ``UnreachableError`` and ``CacheError``.
"""


class GricolZooError(ValueError):
    """A mistake in what was asked for: the message says what was expected, what came and what to do.

    The command line prints it as one line and exits with 2; in Python it is an ordinary ``ValueError``.
    """


class ImageError(GricolZooError):
    """An image that cannot be used: unreadable, too large, blank, or with non-finite pixels."""


class LeakError(GricolZooError):
    """The same cell, case or image stands in two parts of a split."""


class CheckpointError(GricolZooError):
    """A checkpoint or weight file that is missing, or of another model."""


class NoWeightsError(CheckpointError, RuntimeError):
    """A model that has no released weights; a ``RuntimeError`` too, as which timm's callers know it."""


class ConfigError(CheckpointError):
    """A config.json, or another JSON file, that is unreadable, of another format, or says what none of this zoo says."""


class CorruptWeightsError(CheckpointError):
    """A file whose bytes are not those that its hash, its size or its header promise."""


class SignatureError(CheckpointError):
    """A signature that was asked for and is missing, of another key, or of other bytes."""


class HubError(CheckpointError):
    """The Hub did not give what was asked of it; each kind of reason is a subclass."""


class NotOnHubError(HubError):
    """No such repository, revision or file; a private one looks the same without a token."""


class NoAccessError(HubError):
    """A gated repository, or a token that is not accepted."""


class UnreachableError(HubError):
    """No answer, or offline mode, and the file is not in the cache."""


class CacheError(HubError):
    """The cache's folder cannot be written: full, read-only, or of another user."""


class QualityWarning(UserWarning):
    """An image or a cell that is not like those that the weights were trained on, or could not be checked."""


class ShapeWarning(QualityWarning):
    """A chromosome whose mask or medial axis cannot be measured, where a training would have learnt from it."""
