"""Tests: postgres."""
