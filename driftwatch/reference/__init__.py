"""The reference: how it is trained, calibrated, written, read, and how well it tells shifts apart."""
