"""From the log to the rows: pages folded and written, by leases; what cannot be applied waits."""
