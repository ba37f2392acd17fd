"""Drift detectors with a stated false-alarm rate. Pure: values in, values out."""
