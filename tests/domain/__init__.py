"""What the domain decides: given events, when asked, then events or a refusal; no I/O."""
