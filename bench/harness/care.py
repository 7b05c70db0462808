"""A diagnosis beside pg-extras' queries on the same database, and what a check of the data takes and costs.

For: `bench/run doctor` and `bench/run integrity`. Both on one durable server, in rounds that take turns. Not for:
whether what is found is true, which the tests of `care` ask. PgHero is a Ruby gem that its registry alone has, and is
not measured.
"""

import json
import os
import re
import statistics
import subprocess
import time
from pathlib import Path

from . import systems

# What `pg_extras diagnose` asks; and all of its queries that need no other extension and end by themselves.
DIAGNOSE = ["table_cache_hit", "index_cache_hit", "unused_indexes", "null_indexes", "bloat", "duplicate_indexes",
            "outliers", "ssl_used"]
ALL = DIAGNOSE + ["all_locks", "blocking", "cache_hit", "calls", "connections", "db_settings", "extensions",
                  "index_scans", "index_size", "index_usage", "indexes", "locks", "long_running_queries", "records_rank",
                  "seq_scans", "table_index_scans", "table_indexes_size", "table_size", "tables", "total_index_size",
                  "total_table_size", "vacuum_stats"]

# Locks as the server comes: a diagnosis of many tables must not need more of them.
SETTINGS = {"shared_preload_libraries": "pg_stat_statements"}

SHOP = Path(__file__).resolve().parents[2] / "examples/techshop"

TABLES = """
do $$ begin for n in 1..{tables} loop
  execute format('create table t%s (id serial primary key, a integer, b text, parent integer references t%s (id))', n,
    greatest(n - 1, 1));
  execute format('create index on t%s (a)', n);
  execute format('create index on t%s (a, b)', n);
  execute format('insert into t%s (a, b) select i, md5(i::text) from generate_series(1, 200) as i', n);
  if n % 100 = 0 then commit; end if;
end loop; end $$;
"""


def measure(cluster, options):
    return (doctor if options.command == "doctor" else integrity)(cluster, options)


def doctor(cluster, options):
    cluster.sql("postgres", "create database many;")
    for extension in ("pg_stat_statements", "pgstattuple", "amcheck", "sslinfo"):
        cluster.sql("many", f"create extension {extension};")
    cluster.sql("many", TABLES.format(tables=options.tables))
    cluster.sql("many", "analyze;")
    for number in range(1, min(options.tables, 200)):
        cluster.sql("many", f"select count(*) from t{number} where b like '%a%'; select a from t{number} where a = 7;")
    lines = []
    for number in range(options.rounds):
        for system in ("posthaste", "pg-extras diagnose", "pg-extras all"):
            started, cpu = time.monotonic(), cluster.cpu_seconds()
            more = diagnose(cluster, options) if system == "posthaste" else extras(cluster, system)
            seconds = round(time.monotonic() - started, 3)
            line = {"question": "doctor", "system": system, "round": number + 1, "tables": options.tables,
                    "seconds": seconds, "server_cpu_seconds": reaped(cluster, cpu),
                    "load": round(os.getloadavg()[0], 2)} | more
            print(json.dumps(line), flush=True)
            lines.append(line)
    return lines


def diagnose(cluster, options):
    found = subprocess.run([options.posthaste, "doctor", "--format", "json", "--fail-on", "never"], check=True,
                           stdout=subprocess.PIPE, env=cluster.environment("many"))
    document = json.loads(found.stdout)
    summary = document["summary"]
    slowest = sorted(summary.get("milliseconds", {}).items(), key=lambda check: -check[1])[:8]
    timed_out = [one["what"] for one in document["skipped"] if "timeout" in one["why"]]
    return {"findings": len(document["findings"]), "checks": len(summary["lines"]),
            "skipped": len(document["skipped"]), "timed_out": timed_out, "slowest_ms": dict(slowest)}


def reaped(cluster, before):
    """The server's processor time since then, with that of the session that has just ended."""
    time.sleep(0.3)
    return round(cluster.cpu_seconds() - before, 2)


def extras(cluster, system):
    names = DIAGNOSE if system == "pg-extras diagnose" else ALL
    folder = extras_folder()
    text = []
    for name in names:
        path = folder / f"{name}.sql"
        if not path.exists():
            # The names of some depend on the version of pg_stat_statements.
            path = folder / f"{name}_17.sql" if (folder / f"{name}_17.sql").exists() else None
        if path:
            text.append(filled(path.read_text()).rstrip().rstrip(";") + ";")
    result = subprocess.run([cluster.bin / "psql", "-XqAt", "-f", "-"], input="\n".join(text), text=True,
                            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=cluster.environment("many"))
    return {"queries": len(text), "failed": result.stderr.count("ERROR")}


def filled(sql):
    values = {"schema": "public", "limit": "10", "min_scans": "50", "max_scans": "50",
              "null_min_size": "10", "min_relation_size_mb": "10"}
    return re.sub(r"[$%]\{(\w+)\}", lambda found: values.get(found[1], "0"), sql)


def extras_folder():
    """cargo fetches the crate into its registry folder, where its queries are files."""
    folder = systems.INSTALLED / "pg-extras-fetch"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "lib.rs").touch()
    (folder / "Cargo.toml").write_text(
        '[package]\nname = "pg-extras-fetch"\nversion = "0.0.0"\nedition = "2021"\n[lib]\npath = "lib.rs"\n[workspace]\n'
        '[dependencies]\npg-extras = { version = "=0.7.2", default-features = false }\n')
    metadata = json.loads(subprocess.check_output(["cargo", "metadata", "--format-version", "1", "-q"], cwd=folder))
    crate = next(package for package in metadata["packages"] if package["name"] == "pg-extras")
    return Path(crate["manifest_path"]).parent / "src/sql"


def integrity(cluster, options):
    """TechShop with its faults; alone, and beside a pgbench whose rate is compared with itself before and after."""
    cluster.sql("postgres", "create database techshop; create database bank;")
    environment = cluster.environment("techshop") | {"PGOPTIONS": f"-c techshop.scale={options.scale}"}
    for part in ("schema", "data", "faults"):
        subprocess.run([cluster.bin / "psql", "-Xq", "-v", "ON_ERROR_STOP=1", "-f", SHOP / f"{part}.sql"], check=True,
                       stdout=subprocess.DEVNULL, env=environment)
    cluster.sql("techshop", "vacuum (analyze);")
    subprocess.run([cluster.bin / "pgbench", "-iq", "-s", "20", "bank"], check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL, env=cluster.environment("bank"))
    rows = sum(int(cluster.sql("techshop", f"select count(*) from {table}"))
               for table in ("customers", "categories", "products", "orders", "order_items"))
    lines = []
    for number in range(options.rounds):
        for system in ("alone", "beside pgbench"):
            line = {"question": "integrity", "system": system, "round": number + 1, "rows": rows,
                    "load": round(os.getloadavg()[0], 2)}
            line |= checked(cluster, options) if system == "alone" else beside(cluster, options)
            print(json.dumps(line), flush=True)
            lines.append(line)
    return lines


def checked(cluster, options):
    rest = [] if options.rest is None else ["--rest", str(options.rest)]
    started, cpu = time.monotonic(), cluster.cpu_seconds()
    found = subprocess.run([options.posthaste, "integrity", "--database", cluster.environment("techshop")["DATABASE_URL"],
                            "--format", "json", "--fail-on", "never", *rest], check=True, stdout=subprocess.PIPE)
    seconds = time.monotonic() - started
    more = {"server_cpu_seconds": reaped(cluster, cpu)}  # Beside a pgbench it is that of both.
    return {"seconds": round(seconds, 2), "findings": len(json.loads(found.stdout)["findings"])} | more


def beside(cluster, options):
    command = [cluster.bin / "pgbench", "-n", "-c", str(options.clients), "-j", "2", "-T", "36000", "-P", "1", "bank"]
    clients = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                               env=cluster.environment("bank"))
    began = time.monotonic()
    try:
        # The first seconds fill the caches.
        time.sleep(options.idle_seconds + 5)
        start = time.monotonic() - began
        outcome = checked(cluster, options)
        end = time.monotonic() - began
        time.sleep(options.idle_seconds)
    finally:
        clients.terminate()
    rates = {"before": [], "during": [], "after": []}
    for found in re.finditer(r"progress: ([\d.]+) s, ([\d.]+) tps", clients.communicate()[1]):
        at, rate = float(found[1]), float(found[2])
        # A second that is half in and half out is neither.
        if 5 < at <= start:
            rates["before"].append(rate)
        elif start + 1 <= at <= end:
            rates["during"].append(rate)
        elif at > end + 1:
            rates["after"].append(rate)
    mean = {name: statistics.mean(values) if values else 0.0 for name, values in rates.items()}
    idle = (mean["before"] + mean["after"]) / 2
    cost = 100 * (1 - mean["during"] / idle) if idle and rates["during"] else None
    return outcome | {f"tps_{name}": round(value, 1) for name, value in mean.items()} | {
        "cost_percent": round(cost, 1) if cost is not None else None}


def summary(lines, _options):
    """Medians: of a diagnosis each system's seconds with the ratio to ours, of integrity its seconds and its cost."""
    def median(system, name):
        values = [line[name] for line in lines if line["system"] == system and line.get(name) is not None]
        return statistics.median(values) if values else None

    text = ["| | seconds | ratio to posthaste |", "| --- | ---: | ---: |"]
    named = list(dict.fromkeys(line["system"] for line in lines))
    ours = median(named[0], "seconds") or 1
    for system in named:
        seconds = median(system, "seconds")
        text.append(f"| {system} | {seconds:.2f} | {seconds / ours:.2f} |")
    cost = median("beside pgbench", "cost_percent")
    if cost is not None:
        text += ["", f"cost to pgbench: {cost:.1f} % of its rate"]
    return "\n".join(text)
