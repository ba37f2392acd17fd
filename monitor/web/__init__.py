"""The web page and its pictures."""
