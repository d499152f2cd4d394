"""Fine-tuning an encoder: files of texts in, a sentence-transformers directory out.

Needs neither a database nor Redis; ``exemplars.training_corpus`` reads what comes from the
database.
"""
