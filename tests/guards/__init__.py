"""Guards taken out one at a time: the test that a guard is kept by must then go red where it says.

`make guards`, or `python -m tests.guards --only NAME`.
"""
