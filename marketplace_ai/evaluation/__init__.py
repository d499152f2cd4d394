"""How good the deciding is on labelled files: figures, baselines beside them, and a report.

Needs neither a database nor Redis: files and an encoder in, numbers out.
"""
