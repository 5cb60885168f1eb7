"""The read side: views over HTTP, one file a resource, once more in `v2`."""
