"""Makes `stories`, which lies beside this file, importable from the rooms below."""
