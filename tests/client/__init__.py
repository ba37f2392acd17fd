"""The client of a service: what it applies, what it logs, and what it does when nothing works."""
