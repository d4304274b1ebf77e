"""The Hugging Face Hub, through huggingface_hub: from a repository's name to verified files.

This adds what the client lacks (measured with versions 1.30 to 2.4): both files come from one commit; a size is known before
anything is downloaded; bytes are compared with their hash, because the client accepts and keeps a body with a flipped bit;
transfers that it does not retry are retried; and every failure is one of this package's errors.
"""

from gricol_zoo.weights.hub.download import find_on_hub
from gricol_zoo.weights.hub.upload import upload

__all__ = ["find_on_hub", "upload"]
