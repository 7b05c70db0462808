"""A throw-away PostgreSQL cluster on a real disk, with the same settings for everyone.

For: starting it, giving each cell a database of its own, and telling how much CPU the server used. Not for:
knowing what is measured. Everything is durable as in production: fsync, synchronous_commit and full_page_writes
are on.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

SETTINGS = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "shared_buffers": "512MB",
    "max_wal_size": "8GB",
    "max_connections": "200",
    # A cell lasts seconds; statistics and vacuum shall come as early in it as they come in a queue's day.
    "autovacuum_naptime": "2s",
    "listen_addresses": "127.0.0.1",
    "log_min_messages": "error",
}
MEMORY_FILE_SYSTEMS = {"tmpfs", "ramfs"}
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def binaries():
    """The folder of PostgreSQL 15's programs, or of the version that POSTHASTE_BENCH_PGBIN names."""
    folder = Path(os.environ.get("POSTHASTE_BENCH_PGBIN", "/usr/lib/postgresql/15/bin"))
    if not (folder / "initdb").exists():
        raise SystemExit(f"bench: no PostgreSQL in {folder}; set POSTHASTE_BENCH_PGBIN")
    return folder


class Cluster:
    """Use it in a `with` statement: leaving it stops the server and deletes the files."""

    def __init__(self, parent="/var/tmp", settings=None):
        self.settings = SETTINGS | (settings or {})
        self.bin = binaries()
        # PostgreSQL refuses to run as root, so root lends it to the account of that name.
        self.account = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        self.root = Path(tempfile.mkdtemp(prefix="posthaste-bench-", dir=parent))
        self.port = free_port()
        self.server = None

    def __enter__(self):
        kind = subprocess.check_output(["stat", "-f", "-c", "%T", str(self.root)], text=True).strip()
        if kind in MEMORY_FILE_SYSTEMS:
            self.root.rmdir()
            raise SystemExit(f"bench: {self.root} is on {kind}; the cluster must be on a disk, see --disk")
        if os.geteuid() == 0:
            shutil.chown(self.root, self.account)
        data = self.root / "data"
        self._run("initdb", "-D", data, "-U", "postgres", "-A", "trust", "-k", "-E", "UTF8", "--locale=C")
        options = [f"{name}={value}" for name, value in self.settings.items()]
        options += [f"port={self.port}", f"unix_socket_directories={self.root}"]
        command = [self.bin / "postgres", "-D", data] + [word for option in options for word in ("-c", option)]
        # A session of its own, so that Ctrl-C stops the harness first and the server in order.
        self.server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                       start_new_session=True, **self._as_account())
        for _ in range(300):
            if subprocess.call([self.bin / "pg_isready", "-q", "-h", self.root, "-p", str(self.port)]) == 0:
                return self
            time.sleep(0.1)
        self.__exit__()
        raise SystemExit("bench: the server did not start")

    def __exit__(self, *_):
        if self.server and self.server.poll() is None:
            self.server.send_signal(signal.SIGINT)
            try:
                self.server.wait(60)
            except subprocess.TimeoutExpired:
                self.server.send_signal(signal.SIGQUIT)
                self.server.wait()
        shutil.rmtree(self.root, ignore_errors=True)

    def environment(self, database, tcp=False):
        """What a client needs to connect, in libpq's variables and as a URL."""
        host = "127.0.0.1" if tcp else str(self.root)
        url = (f"postgresql://postgres@127.0.0.1:{self.port}/{database}" if tcp
               else f"postgresql://postgres@/{database}?host={self.root}&port={self.port}")
        return os.environ | {"PGHOST": host, "PGPORT": str(self.port), "PGUSER": "postgres",
                             "PGDATABASE": database, "DATABASE_URL": url}

    def sql(self, database, text):
        """Runs statements and returns what they print."""
        return subprocess.run([self.bin / "psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-f", "-"], input=text, text=True,
                              check=True, stdout=subprocess.PIPE, env=self.environment(database)).stdout.strip()

    def sql_file(self, database, path, **variables):
        words = [word for name, value in variables.items() for word in ("-v", f"{name}={value}")]
        subprocess.run([self.bin / "psql", "-Xq", "-v", "ON_ERROR_STOP=1", *words, "-f", path], check=True,
                       stdout=subprocess.DEVNULL, env=self.environment(database))

    def hold_snapshot(self, database):
        """Opens a transaction whose snapshot keeps every later dead row alive; close it by `kill()`."""
        holder = subprocess.Popen([self.bin / "psql", "-XqAt"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                  env=self.environment(database))
        holder.stdin.write("begin isolation level repeatable read;\nselect 'held' from pg_class limit 1;\n")
        holder.stdin.flush()
        if holder.stdout.readline().strip() != "held":
            raise SystemExit("bench: the snapshot could not be held")
        return holder

    def cpu_seconds(self):
        """CPU time of the server: the postmaster, the children that it has reaped and those that live."""
        total = 0
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rsplit(") ", 1)[1].split()
            except OSError:
                continue
            if int(stat.parent.name) == self.server.pid:
                total += sum(int(field) for field in fields[11:15])
            elif int(fields[1]) == self.server.pid:
                total += sum(int(field) for field in fields[11:13])
        return total / TICKS_PER_SECOND

    def _run(self, program, *arguments):
        subprocess.run([self.bin / program, *arguments], check=True, stdout=subprocess.DEVNULL, **self._as_account())

    def _as_account(self):
        if os.geteuid() != 0:
            return {"cwd": self.root}
        account = pwd.getpwnam(self.account)
        return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": [], "cwd": self.root}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
