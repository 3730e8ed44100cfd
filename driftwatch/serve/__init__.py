"""What the daemon exposes: metrics, health and a status page, all fed by the stages' events alone."""
