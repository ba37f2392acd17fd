"""Alerting: rules, the life cycle of alerts, routing. Pure."""
