"""What a plan costs those who are there, beside the migration that one would write without it.

For: `bench/run plan`. Two questions, each answered on the same durable server in the same run, taking turns: how much
longer a backfill in batches takes than one UPDATE, and for how long the slowest client of a pgbench waited while a
whole migration went through. Not for: whether the plan is right, which the tests of `runner` ask.
"""

import json
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

TABLE = """
create table item (id bigint primary key, name text not null, stock int not null default 0);
insert into item (id, name) select i, 'item ' || md5(i::text) from generate_series(1, {rows}) as i;
vacuum (analyze) item;
"""

# What is written first: everything in one transaction, as most migration tools run a file.
NAIVE = """
begin;
alter table item add column label text;
update item set label = upper(name);
alter table item alter column label set not null;
create index item_label on item (label);
commit;
"""

CLIENT = """
\\set id random(1, {rows})
select stock from item where id = :id;
update item set stock = stock + 1 where id = :id;
"""

BACKFILL = """
[[phases.steps]]
id = "fill"
title = "Fills the column"
action = "batches"
schema = "public"
table = "item"
key = ["id"]
rows = 1000
statements = ["update item set label = upper(name) where {batch}"]
left = "select count(*) from item where label is null"
undo = ["update item set label = null where {batch}"]
"""

HEAD = 'version = 1\ntitle = "A label for each item"\nkind = "rollout"\n\n[[phases]]\nname = "all"\n'


def step(name, statement, mode="ACCESS EXCLUSIVE", effect="none"):
    return (f'\n[[phases.steps]]\nid = "{name}"\ntitle = "{name}"\naction = "transaction"\neffect = "{effect}"\n'
            f'statements = ["{statement}"]\nneeds_no_undo = true\n\n'
            f'[[phases.steps.locks]]\nschema = "public"\ntable = "item"\nmode = "{mode}"\n')


def whole_plan():
    """The same end as NAIVE; a writer of the old version leaves NULL, which a trigger would fill: none is there."""
    return "".join([
        HEAD,
        step("column", "alter table item add column label text"),
        BACKFILL,
        step("check", "alter table item add constraint label_is_there check (label is not null) not valid"),
        step("validate", "alter table item validate constraint label_is_there", "SHARE UPDATE EXCLUSIVE", "scan"),
        step("not-null", "alter table item alter column label set not null"),
        step("drop-check", "alter table item drop constraint label_is_there"),
        '\n[[phases.steps]]\nid = "index"\ntitle = "index"\naction = "alone"\nindex = "public.item_label"\n'
        'statement = "create index concurrently item_label on item (label)"\nneeds_no_undo = true\n',
    ])


def measure(cluster, options):
    """Lines of both questions; the turns alternate, so that they share the machine's noise."""
    cluster.sql("postgres", "create database template_item;")
    cluster.sql("template_item", TABLE.format(rows=options.rows))
    lines = []
    for number in range(options.rounds):
        for system in ("update", "posthaste"):
            lines.append(say(cluster, "backfill", system, number, lambda s=system: backfill(cluster, s, options)))
        for system in ("nothing", "naive", "posthaste"):
            lines.append(say(cluster, "stall", system, number, lambda s=system: stall(cluster, s, options)))
    return lines


def say(cluster, question, system, number, work):
    cluster.sql("postgres", "create database cell template template_item strategy file_copy;")
    line = {"question": question, "system": system, "round": number + 1, "load_before": round(os.getloadavg()[0], 2)}
    try:
        line |= work()
    finally:
        cluster.sql("postgres", "drop database cell with (force);")
    print(json.dumps(line), flush=True)
    return line


def backfill(cluster, system, options):
    cluster.sql("cell", "alter table item add column label text;")
    started = time.monotonic()
    if system == "update":
        cluster.sql("cell", "update item set label = upper(name);")
    else:
        run(cluster, HEAD + BACKFILL, options)
    seconds = time.monotonic() - started
    left = cluster.sql("cell", "select count(*) from item where label is null;")
    return {"seconds": round(seconds, 2), "rows_left": int(left)}


def stall(cluster, system, options):
    """pgbench from two seconds before the migration to two seconds after it; a report reads the table meanwhile."""
    with tempfile.TemporaryDirectory(prefix="posthaste-bench-") as folder:
        script = Path(folder) / "client.sql"
        script.write_text(CLIENT.format(rows=options.rows))
        command = [cluster.bin / "pgbench", "-n", "-c", str(options.clients), "-j", "2", "-T", "36000", "-M", "prepared",
                   "-f", script, "-l", "--log-prefix", Path(folder) / "log", "cell"]
        clients = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                   env=cluster.environment("cell"))
        report = None
        try:
            time.sleep(2)
            # A report that is open when the migration begins, as there is one in every working hour.
            report = subprocess.Popen([cluster.bin / "psql", "-Xqc",
                                       f"begin; select from item limit 1; select pg_sleep({options.report_seconds}); commit"],
                                      stdout=subprocess.DEVNULL, env=cluster.environment("cell"))
            time.sleep(0.5)
            started = time.monotonic()
            if system == "naive":
                cluster.sql("cell", NAIVE)
            elif system == "posthaste":
                run(cluster, whole_plan(), options)
            else:
                time.sleep(options.idle_seconds)
            seconds = time.monotonic() - started
            time.sleep(2)
        finally:
            clients.terminate()
            clients.wait()
            if report:
                report.wait()
        waits = latencies(folder)
    return {"seconds": round(seconds, 2), "transactions": len(waits), "p50_ms": round(statistics.median(waits), 2),
            "p99_ms": round(waits[int(len(waits) * 0.99)], 1), "longest_ms": round(waits[-1], 1)}


def latencies(folder):
    """Of every transaction, in milliseconds, sorted. One that never ended has no line, so none is left waiting."""
    waits = []
    for log in Path(folder).glob("log*"):
        for line in log.read_text().splitlines():
            fields = line.split()
            if len(fields) >= 6 and fields[2].isdigit():
                waits.append(int(fields[2]) / 1000)
    return sorted(waits)


def run(cluster, text, options):
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as plan:
        plan.write(text)
        plan.flush()
        subprocess.run([options.posthaste, "run", plan.name, "--yes", "--lock-timeout-ms", str(options.lock_timeout_ms)],
                       check=True, stdout=subprocess.DEVNULL, stderr=None if options.verbose else subprocess.DEVNULL,
                       env=cluster.environment("cell"))


def summary(lines, options):
    """The two ratios, with their goals."""
    def middle(question, system, field):
        values = [line[field] for line in lines if (line["question"], line["system"]) == (question, system)]
        return statistics.median(values) if values else float("nan")

    update, ours = middle("backfill", "update", "seconds"), middle("backfill", "posthaste", "seconds")
    rows = [
        f"| backfill of {options.rows:,} rows, one UPDATE | {update:.1f} s | |",
        f"| the same in batches | {ours:.1f} s, {ours / update:.2f} times | 2 times |",
    ]
    goals = {"nothing": "", "naive": "", "posthaste": f"{options.lock_timeout_ms + 50} ms"}
    for system, goal in goals.items():
        longest, p99 = middle("stall", system, "longest_ms"), middle("stall", system, "p99_ms")
        took = middle("stall", system, "seconds")
        rows.append(f"| longest wait of a client, {system} ({took:.0f} s) | {longest:,.0f} ms (p99 {p99:.0f}) | {goal} |")
    return "\n".join(["| measured | | goal |", "| --- | ---: | ---: |", *rows])
