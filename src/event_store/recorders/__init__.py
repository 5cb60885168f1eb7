"""The eventsourcing package's persistence interfaces on this log, for programs written for it."""
