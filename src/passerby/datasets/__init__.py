"""Labelled sets: readers of their layouts, published counts, indexes, label shares, attributes."""
