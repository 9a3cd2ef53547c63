"""Connections that live for long: who may have one, what ends it, and the two ways of speaking over it."""
