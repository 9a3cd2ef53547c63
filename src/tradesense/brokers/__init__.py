"""Broker exports: one module per format, each from the bytes of a file to what every row of it became."""
