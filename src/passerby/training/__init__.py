"""What any training here needs: checkpoints, order, rates, precision, processes, history.

Knows no method: what is trained is the business of the rooms above.
"""
