"""caldrift: a streaming calibration-drift monitor."""
