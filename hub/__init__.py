"""What goes to the Hub: one folder for each of the weights, and the scripts that write, check and upload it (``python -m hub.card``)."""
