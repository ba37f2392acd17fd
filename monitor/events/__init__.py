"""Predictions and labels: what they are, and bytes -> event or a reason to reject."""
