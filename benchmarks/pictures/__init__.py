"""The pictures of docs/method.md, each drawn from what is measured as it is drawn."""
