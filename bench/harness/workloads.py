"""What is measured, as data.

For: the list of cells; a cell is one workload with its numbers. Not for: how a system is driven. `variant` names
the cells of a workload that are compared with each other within one system: `plain` is what the other is a
share of.
"""

from dataclasses import dataclass, replace

PEERS = ("lease", "pgmq", "pgboss", "graphile")


@dataclass(frozen=True)
class Cell:
    workload: str
    systems: tuple
    variant: str = "plain"
    producers: int = 4
    consumers: int = 4
    batch: int = 100
    payload_bytes: int = 250
    later: int = 0  # Messages beside them that are due tomorrow.
    ready: int = 0  # Messages that wait already.
    held_snapshot: bool = False
    seconds: int = 0  # 0: what the command line says.

    @property
    def backlog_max(self):
        """Producers pause above this, so that a cell measures a steady state and not a growing pile.

        It is reached within the warm-up; otherwise sends would take commits from settlements in short cells.
        """
        return max(100, 4 * self.batch * self.consumers)

    def title(self):
        side = "kB" if self.payload_bytes % 1024 == 0 else "B"
        size = self.payload_bytes // 1024 if side == "kB" else self.payload_bytes
        return f"{self.workload} {self.variant} {self.producers}+{self.consumers} x{self.batch} {size} {side}"


def cells(workload, options):
    return globals()[f"_{workload}"](options)


def _cycle(options):
    systems = ("posthaste", "bare", *PEERS)
    if options.quick:
        shapes = [(4, 100, 250), (4, 10, 250), (4, 1, 250), (32, 1, 250), (4, 100, 4096)]
    else:
        shapes = [(n, batch, size) for size in (250, 4096) for batch in (100, 10, 1) for n in (1, 4, 8, 32)]
    return [Cell("cycle", systems, producers=n, consumers=n, batch=batch, payload_bytes=size)
            for n, batch, size in shapes]


def _later(options):
    systems = ("posthaste", "visible", "visible_scan", *PEERS)
    plain = Cell("later", systems)
    return [plain, replace(plain, variant="later", later=options.later)]


def _backlog(options):
    plain = Cell("backlog", ("posthaste", "bare", *PEERS))
    return [plain, replace(plain, variant="backlog", ready=options.ready)]


def _snapshot(options):
    plain = Cell("snapshot", ("posthaste", "bare", *PEERS), seconds=options.held_seconds)
    return [plain, replace(plain, variant="held", held_snapshot=True)]


def _notify(options):
    return [Cell("notify", ("posthaste", "bare", "bare_notify"), producers=16, consumers=0, batch=1)]


def _send(options):
    """32 connections that insert one row a transaction: what one-by-one sends over HTTP are compared with."""
    return [Cell("send", ("posthaste", "bare", *PEERS), producers=32, consumers=0, batch=1)]


WORKLOADS = ("cycle", "later", "backlog", "snapshot", "notify", "send")
