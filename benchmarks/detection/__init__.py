"""driftwatch compared with its peers: AUROC on the same windows, and detection delay at equal false-alarm rates."""
