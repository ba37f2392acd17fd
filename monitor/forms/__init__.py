"""What people fill in, caldrift.toml and alerts.yaml alike: kinds of values, and words for what is allowed."""
