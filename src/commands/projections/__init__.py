"""What operators can ask of the projections; each request is an event, carried out by workers."""
