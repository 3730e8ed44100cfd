"""What Kafka's clients cost by the message and the byte, beside what driftwatch does with a sample."""
