"""What Django's models cannot express in the database: how it is made, checked and restored."""
