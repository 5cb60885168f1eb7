"""What operators can decide about reactions; each decision is an event that workers carry out."""
