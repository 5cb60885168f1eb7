"""Tests of GraphQL, beside REST on the same application."""
