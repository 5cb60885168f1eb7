"""Questions over the log's history: an index of what events hold, and the events that match."""
