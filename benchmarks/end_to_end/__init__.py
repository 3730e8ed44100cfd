"""How much of the scoring loop's rate remains when samples come from Apache Kafka and panes return to it."""
