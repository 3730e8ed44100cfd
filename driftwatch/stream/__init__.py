"""The stream engine: records to panes, panes to windows, windows to alerts, with recovery by the log."""
