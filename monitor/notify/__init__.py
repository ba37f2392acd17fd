"""Notification channels: each renders a notice (pure) and delivers what was rendered."""
