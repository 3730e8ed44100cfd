"""Where alerts go beside the alerts topic: webhooks and the log, each at its own pace."""
