"""What scripts of several rooms share: where results go, which images belong to which weights, and loading these."""
