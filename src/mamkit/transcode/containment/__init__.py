"""Strangers' files in a child process that can do no harm: both its sides, and what they say to each other."""
