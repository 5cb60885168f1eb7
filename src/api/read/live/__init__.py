"""What happens, as it happens: server-sent events for an order and for all of the log."""
