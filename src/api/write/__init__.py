"""The write side: commands over HTTP, one file a resource."""
