"""The whole story on generated data, for people who want to see it before they believe it."""
