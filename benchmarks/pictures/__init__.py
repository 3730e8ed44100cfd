"""The pictures of docs/method.md, each drawn from measurements made for it."""
