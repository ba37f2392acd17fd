"""The same events through other systems: speed, and what each makes of a correction, a label first and a kill."""
