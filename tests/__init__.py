"""Every promise of Daybook, one folder a room; names are the promises."""
