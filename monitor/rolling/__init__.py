"""Segments, panes and rolling windows. Pure: values in, values out."""
