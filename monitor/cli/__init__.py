"""The command line, grouped by noun."""
