"""The demo: training, drift, alert and resolution on generated data."""
