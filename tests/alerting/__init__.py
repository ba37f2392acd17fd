"""Tests of rules and of the life cycle of alerts."""
