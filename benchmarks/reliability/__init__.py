"""The same everyday faults put to xchws and to its peers from PyPI; `make compare-reliability`, docs/comparison.md.

trials.py      what is done to a library, and the facts that were seen
scoring.py     what the facts amount to
stage.py       one library in a process of its own (puppet.py) before a scripted exchange (server.py, dialects/)
peers/         one small adapter for each library
compare.py     the program; environments.py makes a virtual environment for each library; page.py writes the page
"""
