"""Python exporters that several tests use: one class for each spelling."""

from __future__ import annotations

import devview as dv


class Kept:
    """The parts that all test classes share: data, and a log of what the methods were given."""

    def __init__(self, data=b"abcdef"):
        self.data = bytearray(data)
        self.given = []
        self.returned = []

    def give(self, *flags):
        self.given.append(flags)
        self.made = memoryview(self.data)
        return self.made


class Pep688(Kept, dv.Exporter):
    def __buffer__(self, flags):
        return self.give(flags)

    def __release_buffer__(self, buffer):
        self.returned.append(buffer)


class WithoutFlags(Kept, dv.Exporter):
    def __buffer__(self):
        return self.give()

    def __release_buffer__(self, buffer):
        self.returned.append(buffer)


class Of2012(Kept, dv.Exporter):
    def __getbuffer__(self, flags):
        return self.give(flags)

    def __releasebuffer__(self, buffer):
        self.returned.append(buffer)


class Counting(dv.Exporter):
    """Counts its releases and keeps nothing else."""

    def __init__(self, data=b"abcdef"):
        self.data = bytearray(data)
        self.released = 0

    def __buffer__(self, flags):
        return memoryview(self.data)

    def __release_buffer__(self, buffer):
        self.released += 1


SPELLINGS = [Pep688, WithoutFlags, Of2012]
