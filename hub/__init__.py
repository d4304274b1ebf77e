"""Staging area for the Hub: one folder per set of weights, and the scripts that write, check and upload these folders."""
