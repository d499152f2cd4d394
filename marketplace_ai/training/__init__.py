"""Fine-tuning an encoder: files of texts in, a sentence-transformers directory out.

Needs neither a database nor Redis; what comes from the database is read by ``lifecycle``.
"""
