"""Backtest: what rules would have told, over history as it was known then. Pure: hours go in, a report comes out."""
