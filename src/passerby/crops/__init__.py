"""Crops: people cut out of videos, left out with reasons, and kept in one file."""
