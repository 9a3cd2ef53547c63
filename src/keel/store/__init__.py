"""The store: what all instances see of each other, within bounds."""
