"""Embedded servers and simulated traffic."""
