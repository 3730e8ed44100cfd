"""What Kafka clients cost per message and per byte, compared with driftwatch's own work."""
