"""Programs that answer a data set in a given time, each started as a process of its own.

Each prints its answer as one line of JSON, the last one: its score on the test rows by the name of the
metric, and counts such as ``rows``. All but ``architecture_search`` know nothing of archwright.
"""
