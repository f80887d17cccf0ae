"""The meeting place: the same flows, predicted and observed, in one table."""
