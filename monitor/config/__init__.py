"""Settings: one file, the environment and flags become frozen values, once. Only the command line looks in here."""
