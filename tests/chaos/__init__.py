"""Faults against daemons on a real Apache Kafka, and an oracle that computes what they should commit regardless."""
