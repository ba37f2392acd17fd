"""The calibration sketch and every measure read from it. Pure: values in, values out."""
