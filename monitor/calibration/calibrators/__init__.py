"""Recalibration maps: fitted from sketches, kept as artefacts that any language applies. Pure."""
