"""What was measured, and the scripts that measure it: README.md beside this says which script answers which question."""
