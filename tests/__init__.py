"""Tests of caldrift."""
