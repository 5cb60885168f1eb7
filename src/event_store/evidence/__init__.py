"""Evidence that the log is as it was: a Merkle tree over it, signed heads, proofs, verification."""
