"""What is deployed with driftwatch (image, Compose file, chart, systemd unit) and the tools that check it."""
