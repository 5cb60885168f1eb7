"""The oracle: writers, readers and faults on one log, and whether the log kept its promises.

`make oracle`, or `python -m tests.oracle --events 40000 --writers 20 --readers 30`.
"""
