"""Everything of aiortc and aioice that is not public and yet needed here; no other module may touch it.

`check.py` names what is touched, and fails loudly where another aiortc no longer has it.
"""
