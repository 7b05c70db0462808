"""Medians, ratios, the table and the results file.

For: what is done with the measured lines. Not for: measuring.
"""

import json
import os
import platform
import statistics
import time
from pathlib import Path

# A peer is a product; the tables with plain SQL are yardsticks.
PEERS = ("pgmq", "pgboss", "graphile")


def medians(lines):
    """The median rate for each (cell, system), in the order in which they were first measured."""
    rates = {}
    for line in lines:
        if "error" not in line:
            rates.setdefault((line["cell"], line["system"]), []).append(line["messages_per_second"])
    return {key: statistics.median(values) for key, values in rates.items()}


def table(lines):
    """A Markdown table: one row a cell, one column a system, then the ratios."""
    middle = medians(lines)
    systems = list(dict.fromkeys(line["system"] for line in lines))
    titles = list(dict.fromkeys(line["cell"] for line in lines))
    ours = "posthaste" if "posthaste" in systems else "bare"
    rows = [["messages/s", *systems, "best peer", f"{ours} / best peer", f"{ours} / bare SQL"]]
    for title in titles:
        found = {system: middle[title, system] for system in systems if (title, system) in middle}
        peers = {system: rate for system, rate in found.items() if system in PEERS}
        best = max(peers, key=peers.get, default=None)
        plain = found.get("bare", found.get("visible"))
        rows.append([title, *(_number(found.get(system)) for system in systems), best or "-",
                     _ratio(found.get(ours), peers.get(best)), _ratio(found.get(ours), plain)])
    return _markdown(rows)


def shares(lines):
    """What is left of each system's rate when something weighs on it: a variant over its plain cell."""
    middle = medians(lines)
    cells = {line["cell"]: line for line in lines}
    systems = list(dict.fromkeys(line["system"] for line in lines))
    rows = [["share that is left", *systems]]
    for title, line in cells.items():
        if line["variant"] == "plain":
            continue
        plain = title.replace(f" {line['variant']} ", " plain ", 1)
        rows.append([title, *(_percent(middle.get((title, s)), middle.get((plain, s))) for s in systems)])
    return _markdown(rows) if len(rows) > 1 else ""


def write(path, lines, settings, versions, options):
    path.parent.mkdir(exist_ok=True)
    document = {"version": 1, "measured_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "machine": machine(),
                "settings": settings, "versions": versions, "options": options,
                "medians": [{"cell": cell, "system": system, "messages_per_second": round(rate)}
                            for (cell, system), rate in medians(lines).items()],
                "lines": lines}
    path.write_text(json.dumps(document, indent=1) + "\n")


def machine():
    model = next((line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), platform.machine())
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {"cpu": model, "cores": os.cpu_count(), "memory_gb": round(memory_gb), "kernel": platform.release()}


def _number(value):
    return "-" if value is None else f"{value:,.0f}"


def _ratio(value, base):
    return "-" if not value or not base else f"{value / base:.2f}"


def _percent(value, base):
    return "-" if value is None or not base else f"{100 * value / base:.0f} %"


def _markdown(rows):
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["| " + " | ".join(word.ljust(widths[i]) if i == 0 else word.rjust(widths[i])
                               for i, word in enumerate(row)) + " |" for row in rows]
    lines.insert(1, "|" + "|".join(("-" * (width + 1) + ":") if i else "-" * (width + 2)
                                   for i, width in enumerate(widths)) + "|")
    return "\n".join(lines)
