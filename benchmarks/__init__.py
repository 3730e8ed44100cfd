"""What is measured: accuracy on named data, and speed as ratios taken in one run."""
