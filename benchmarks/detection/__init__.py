"""driftwatch beside its peers: AUROC on the same windows for everyone, and delay at equal false-alarm rates."""
