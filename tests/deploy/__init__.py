"""What is deployed with driftwatch: image, compose, chart, unit; and the tools that check it."""
