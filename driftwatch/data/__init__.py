"""Samples: their schemas, wire codecs, file readers, and corruptions to test detectors with."""
