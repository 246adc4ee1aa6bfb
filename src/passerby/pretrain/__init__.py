"""MoCo v2 on person crops: views, encoder pair, queue, positives, loss, loop."""
