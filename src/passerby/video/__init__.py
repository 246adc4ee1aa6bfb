"""Videos: list, download, ledger, decoding (the only user of a decoder), detections, tracks.

Knows nothing of crops or of re-identification models.
"""
