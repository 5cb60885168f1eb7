"""The benchmarks, one file a measurement: `make bench`; docs/benchmarks.md says how to read it."""
