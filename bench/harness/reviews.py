"""How long a review takes, beside squawk on the same files, and what a large dump costs.

For: `bench/run review`. Posthaste gets the catalog of a database with the tables that the files are about; squawk knows
none. Both print JSON, which nobody reads. Not for: what is found, which `docs/rules` and the score test tell.
"""

import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from harness.systems import INSTALLED

# The wheel holds the binary; npm's package fetches it from elsewhere.
SQUAWK_VERSION = "2.70.0"
TABLES = 300
SEED = 20260301


def install():
    """Fetches squawk from PyPI, unless it is there."""
    folder = INSTALLED / "squawk"
    if not any(folder.rglob("squawk")):
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", folder,
                   f"squawk-cli=={SQUAWK_VERSION}"]
        subprocess.run(command, check=True)
    found = [path for path in folder.rglob("squawk*") if path.is_file() and os.access(path, os.X_OK)]
    if not found:
        raise SystemExit(f"bench: {folder} holds no squawk")
    # The launcher in Python would be measured, too, where the package has a binary beside it.
    return max(found, key=lambda path: path.stat().st_size)


def measure(cluster, options):
    squawk = install()
    with tempfile.TemporaryDirectory(dir=options.disk) as folder:
        folder = Path(folder)
        files = write_migrations(folder / "migrations", options.files)
        catalog = export_catalog(cluster, folder, options)
        review = [options.posthaste, "review", "--offline", "--catalog", catalog, "--fail-on", "never",
                  "--format", "json"]
        systems = {
            "squawk": [squawk, "--reporter", "json", *files],
            "posthaste, no catalog": [options.posthaste, "review", "--offline", "--fail-on", "never", "--format",
                                      "json", folder / "migrations"],
            "posthaste": [*review, folder / "migrations"],
        }
        lines = []
        for number in range(options.rounds):
            for system, command in systems.items():
                lines.append({"system": system, "round": number + 1, "files": len(files)} | run(command))
                print(lines[-1], flush=True)
        for megabytes in options.dump_mb:
            for kind in ("copy", "insert"):
                dump = write_dump(folder / "dump.sql", megabytes, kind)
                line = {"system": "posthaste", "dump": kind, "megabytes": megabytes} | run([*review, dump])
                lines.append(line)
                print(line, flush=True)
        return lines


def run(command):
    """Wall time, processor time and the most memory of one process, whatever it finds."""
    load = os.getloadavg()[0]
    start = time.monotonic()
    child = subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.monotonic() - start
    code = os.waitstatus_to_exitcode(status)
    line = {"seconds": round(seconds, 3), "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 3),
            "memory_mb": round(usage.ru_maxrss / 1024), "load_before": round(load, 2)}
    # squawk ends with 1 when it finds something.
    return line if code in (0, 1) else line | {"error": f"ended with {code}"}


def summary(lines, _options):
    text = []
    for system in dict.fromkeys(line["system"] for line in lines if "files" in line):
        of = [line for line in lines if line["system"] == system and "files" in line]
        middle = {name: statistics.median(line[name] for line in of) for name in ("seconds", "cpu_seconds", "memory_mb")}
        text.append(f"{system:24} {middle['seconds']:8.3f} s {middle['cpu_seconds']:8.3f} s CPU {middle['memory_mb']:6.0f} MB")
    for line in lines:
        if "dump" in line:
            name = f"dump of {line['megabytes']} MB, {line['dump']}"
            text.append(f"{name:24} {line['seconds']:8.3f} s {line['cpu_seconds']:8.3f} s CPU {line['memory_mb']:6.0f} MB")
    return "\n".join(text)


def export_catalog(cluster, folder, options):
    cluster.sql("postgres", "create database shop;")
    schema = folder / "schema.sql"
    schema.write_text("".join(table(number) for number in range(TABLES)))
    cluster.sql_file("shop", schema)
    path = folder / "catalog.json"
    command = [options.posthaste, "catalog", "export", "--out", path]
    subprocess.run(command, check=True, env=cluster.environment("shop", False), stderr=subprocess.DEVNULL)
    cluster.sql("postgres", "drop database shop;")
    return path


def table(number):
    parent = f" references t{number - 1} (id)" if number else ""
    return (f"create table t{number} (id bigint primary key, parent_id bigint{parent}, name varchar(100) not null, "
            f"email text, amount numeric(10, 2) default 0, state text check (state in ('new', 'done')), "
            f"seen_at timestamptz default now());\n"
            f"create index t{number}_parent on t{number} (parent_id);\n"
            f"create index t{number}_email on t{number} (lower(email)) where email is not null;\n"
            f"insert into t{number} (id, name) select i, 'a' from generate_series(1, 50) as i;\n")


# One statement or a few; {t} is a table that is there, {n} the file's number, {m} a number of its own.
PARTS = [
    "alter table {t} add column extra_{n}_{m} text;",
    "alter table {t} add column count_{n}_{m} int not null default 0;",
    "alter table {t} add column key_{n}_{m} uuid default gen_random_uuid();",
    "create index {t}_name_{n}_{m} on {t} (name);",
    "create index concurrently if not exists {t}_seen_{n}_{m} on {t} (seen_at desc, id);",
    "alter table {t} add constraint {t}_amount_{n}_{m} check (amount >= 0);",
    "alter table {t} add constraint {t}_amount_{n}_{m} check (amount >= 0) not valid;\n"
    "alter table {t} validate constraint {t}_amount_{n}_{m};",
    "alter table {t} alter column email set not null;",
    "alter table {t} alter column name type varchar(200);",
    "alter table {t} alter column amount type numeric(14, 4) using amount::numeric(14, 4);",
    "create table made_{n}_{m} (\n    id bigint generated always as identity primary key,\n"
    "    {t}_id bigint not null references {t} (id) on delete cascade,\n    note text,\n"
    "    created_at timestamptz not null default now(),\n    unique ({t}_id, note)\n);\n"
    "create index on made_{n}_{m} ({t}_id);\ncomment on table made_{n}_{m} is 'What was made in {n}';",
    "update {t} set state = 'done' where state is null and seen_at < now() - interval '1 day';",
    "delete from {t} where id in (select parent_id from {t} where amount < 0);",
    "insert into {t} (id, name, amount) values ({n}, 'it''s', 1.5), ({m}, 'two', 2) on conflict (id) do nothing;",
    "create or replace function {t}_total_{n}(wanted text) returns numeric language sql stable as $$\n"
    "    select sum(amount) from {t} where state = wanted\n$$;",
    "do $$\nbegin\n    if not exists (select 1 from pg_type where typname = 'mood_{n}') then\n"
    "        create type mood_{n} as enum ('good', 'bad');\n    end if;\nend\n$$;",
    "create or replace view {t}_view_{n}_{m} as\n    select a.id, a.name, count(b.id) as children\n    from {t} a\n"
    "    left join {t} b on b.parent_id = a.id\n    group by a.id, a.name;",
    "grant select, insert on {t} to public;",
    "drop index if exists {t}_email;",
    "alter table {t} drop column if exists state;",
    "set lock_timeout = '1s';",
]


def write_migrations(folder, count):
    folder.mkdir()
    chance = random.Random(SEED)
    paths = []
    for number in range(1, count + 1):
        parts = [f"-- Migration {number}: what a team does in a day.\n"]
        for place in range(chance.randint(2, 6)):
            part = chance.choice(PARTS).format(t=f"t{chance.randrange(TABLES)}", n=number, m=place)
            parts.append(f"\n-- Step {place + 1}.\n{part}\n")
        path = folder / f"{number:04}_change.sql"
        path.write_text("".join(parts))
        paths.append(path)
    return paths


def write_dump(path, megabytes, kind):
    """As pg_dump writes: tables, rows, then indexes and keys. Rows as COPY, or as one INSERT each."""
    size, number = megabytes << 20, 0
    with path.open("w") as file:
        file.write("set statement_timeout = 0;\nset client_encoding = 'UTF8';\n")
        while file.tell() < size:
            number += 1
            file.write(f"\n--\n-- Name: d{number}; Type: TABLE\n--\n\ncreate table public.d{number} (\n    id bigint not "
                       f"null,\n    name text,\n    amount numeric(10,2)\n);\n\n")
            rows = [(row, f"name of {row} isn't long", row / 4) for row in range(20_000)]
            if kind == "copy":
                file.write(f"COPY public.d{number} (id, name, amount) FROM stdin;\n")
                file.writelines(f"{row}\t{name}\t{amount}\n" for row, name, amount in rows)
                file.write("\\.\n\n")
            else:
                name = "name of it isn''t long"
                file.writelines(f"INSERT INTO public.d{number} VALUES ({row}, '{name}', {amount});\n"
                                for row, _, amount in rows)
            file.write(f"\nalter table only public.d{number} add constraint d{number}_pkey primary key (id);\n"
                       f"create index d{number}_name on public.d{number} using btree (name);\n")
    return path
