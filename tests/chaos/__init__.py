"""Faults against daemons on a real Apache Kafka, and an oracle that says what they should have come to all the same."""
