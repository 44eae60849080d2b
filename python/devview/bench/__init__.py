"""The benchmarks, ``python -m devview bench``: devview beside its peers, in ratios of one run.

`case` says what is timed and what it promises, `cases` has the cases, `clock` takes the time,
`worker` and `runner` are its processes, `record` keeps the figures as pyperf does, `report`,
`figure` and `growth_figure` show them, `compare` finds what got slower, `google` adds C++ programs.
"""
