"""What the daemon shows: metrics, health and a status page, all fed by the stages' events alone."""
