"""Choices that a rule sends to a person (人工审核): a queue with a deadline."""
