"""Sinks for alerts beside the alerts topic: webhooks, chats, pagers, mail and the log, each at its own pace."""
