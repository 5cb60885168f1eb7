"""Chaos: people shop over HTTP while everything is killed and frozen; then the books must agree.

`make chaos`, or `python -m tests.chaos --seconds 60 --shoppers 8`.
"""
