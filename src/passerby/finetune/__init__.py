"""Finetuning: the unmodified fastreid 1.4.0 behind one compatibility module.

`run.finetune` trains an encoder on a share of a benchmark's labels and writes a model artifact.
`compat` is the only door to fastreid, `bridge` brings our data sets to it, `recipes` are the
published settings as our own tables, `trainer` is its trainer with our hooks.
"""
