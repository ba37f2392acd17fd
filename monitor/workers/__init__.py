"""The roles: the imperative shell, the only place that reads the clock."""
