"""The classical systems, and straightening."""
