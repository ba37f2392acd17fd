"""Tests: rolling."""
