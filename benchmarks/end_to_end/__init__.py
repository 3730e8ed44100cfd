"""What is left of the scoring loop's rate when samples come from Apache Kafka and panes go back there."""
