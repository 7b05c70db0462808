"""An archive in proven batches, against one DELETE ... RETURNING into an INSERT.

For: `bench/run archive`. Both move the same rows of a fresh table on one durable server, in rounds that take turns; a
client changes single rows that are to stay and to go meanwhile, and says how long it waited at most. Not for: whether
the rows are the same afterwards, which the tests of `care` ask; only their number is looked at.
"""

import json
import os
import statistics
import subprocess
import threading
import time
from pathlib import Path

TABLE = """
create table deals (id bigint generated always as identity primary key, closed_at timestamptz not null,
  amount numeric(10, 2), note text, touched int not null default 0);
insert into deals (closed_at, amount, note)
select now() - interval '3 years' + i * interval '1 second', i % 10000, md5(i::text) from generate_series(1, {rows}) as i;
insert into deals (closed_at, amount, note)
select now(), i % 10000, md5(i::text) from generate_series(1, {rows} / 10) as i;
create index on deals (closed_at);
vacuum (analyze) deals;
"""

PLAIN = """
create schema archive;
create table archive.deals (like deals including all);
with gone as (
  delete from deals where closed_at < now() - interval '2 years' returning *
)
insert into archive.deals (id, closed_at, amount, note, touched) overriding system value
select id, closed_at, amount, note, touched from gone;
vacuum (analyze) deals;
"""


def measure(cluster, options):
    lines = []
    for number in range(options.rounds):
        for system in ("one statement", "posthaste"):
            cluster.sql("postgres", "create database archived;")
            cluster.sql("archived", TABLE.format(rows=options.rows))
            line = {"question": "archive", "system": system, "round": number + 1, "rows": options.rows,
                    "load": round(os.getloadavg()[0], 2)}
            line |= moved(cluster, system, options)
            print(json.dumps(line), flush=True)
            lines.append(line)
            cluster.sql("postgres", "drop database archived with (force);")
    return lines


def moved(cluster, system, options):
    client = Client(cluster, options.rows)
    client.start()
    started = time.monotonic()
    try:
        if system == "posthaste":
            posthaste(cluster, options)
        else:
            cluster.sql("archived", PLAIN)
        seconds = time.monotonic() - started
    finally:
        client.stop()
    there = int(cluster.sql("archived", "select count(*) from archive.deals"))
    left = int(cluster.sql("archived", "select count(*) from deals"))
    if (there, left) != (options.rows, options.rows // 10):
        raise SystemExit(f"bench: {there} rows are in the archive and {left} are left")
    return {"seconds": round(seconds, 2), "rows_per_second": round(there / seconds),
            "longest_wait_ms": round(client.longest * 1000)}


def posthaste(cluster, options):
    environment = cluster.environment("archived")
    plan = Path(cluster.root) / "archive.toml"
    url = environment["DATABASE_URL"]
    subprocess.run([options.posthaste, "archive", "plan", "--database", url, "--table", "public.deals", "--column",
                    "closed_at", "--older-than", "2 years", "--into", "archive", "--out", plan], check=True,
                   stderr=subprocess.DEVNULL, env=environment)
    subprocess.run([options.posthaste, "run", plan, "--database", url, "--yes"], check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL, env=environment)


class Client(threading.Thread):
    """Changes rows one after the other, spread over the whole table, and remembers the longest wait."""

    def __init__(self, cluster, rows):
        super().__init__(daemon=True)
        self.cluster, self.rows, self.longest, self.ends = cluster, rows, 0.0, threading.Event()

    def run(self):
        command = [self.cluster.bin / "psql", "-XqAt", "archived"]
        session = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                   env=self.cluster.environment("archived"))
        at = 0
        while not self.ends.is_set():
            at = (at + 7919) % (self.rows + self.rows // 10)
            started = time.monotonic()
            session.stdin.write(f"update deals set touched = touched + 1 where id = {at + 1};\nselect 1;\n")
            session.stdin.flush()
            if not session.stdout.readline():
                break
            self.longest = max(self.longest, time.monotonic() - started)
            self.ends.wait(0.01)
        session.stdin.close()
        session.wait()

    def stop(self):
        self.ends.set()
        self.join()


def summary(lines, _options):
    """Medians of both, and the ratio of the one statement to ours."""
    def median(system, name):
        return statistics.median(line[name] for line in lines if line["system"] == system)

    text = ["| | seconds | rows a second | longest wait of a client (ms) |", "| --- | ---: | ---: | ---: |"]
    for system in ("one statement", "posthaste"):
        text.append(f"| {system} | {median(system, 'seconds'):.2f} | {median(system, 'rows_per_second'):.0f} | "
                    f"{median(system, 'longest_wait_ms'):.0f} |")
    ratio = median("posthaste", "rows_per_second") / median("one statement", "rows_per_second")
    return "\n".join([*text, "", f"posthaste moves {ratio:.2f} of the rows a second of the one statement"])
