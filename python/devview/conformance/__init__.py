"""Malformed and odd producers of every protocol, for any importer of arrays.

``python -m devview.conformance MODULE:FUNCTION`` points them at a function that takes one object
and returns a view of it. Pure Python and ctypes: neither NumPy nor a GPU is needed.
"""
