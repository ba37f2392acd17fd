"""Trials, cuts and regret."""
