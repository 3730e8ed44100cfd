"""Backtests: the daemon's stages over files, to find the alarms that a configuration would have raised."""
