"""Recalibration: from labels to a map that the gate lets through, and whether it still helps once it is in force.

Pure. The maps and the gate are in `monitor.calibration`.
"""
