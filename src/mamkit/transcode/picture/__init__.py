"""Decoded pictures of any kind to those that an encoder takes: rate, fields, colours, size, the right way up."""
