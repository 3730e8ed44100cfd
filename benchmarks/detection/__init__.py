"""driftwatch beside its peers: the same windows for everyone, AUROC with intervals, and delay at equal false-alarm rates."""
