"""What is made and committed: splits, class profiles, released weights, pictures of the docs."""
