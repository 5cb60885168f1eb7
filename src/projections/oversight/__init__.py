"""What operators see of the projections."""
