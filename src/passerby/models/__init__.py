"""Networks and their weights: backbones, starts, transfer, the model artifact, embedding.

Knows nothing of losses and data sets.
"""
