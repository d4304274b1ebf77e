"""The Hugging Face Hub, by way of huggingface_hub: from a repository's name to files whose bytes are known.

What the client leaves open is closed here (measured with versions 1.30 to 2.4): both files come from one commit; a size is
known before anything is downloaded; bytes are compared with their hash, because the client accepts and keeps a body with a
flipped bit; transfers that it does not try again are tried again; and whatever fails is one of this package's errors.
"""

from gricol_zoo.weights.hub.download import find_on_hub
from gricol_zoo.weights.hub.upload import upload

__all__ = ["find_on_hub", "upload"]
