"""Pure statistics of windows: additive summaries, divergence, geometry, null calibration and control."""
