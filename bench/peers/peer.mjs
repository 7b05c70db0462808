// Drives the queues that come as Node libraries (pg-boss, graphile-worker) through their own interfaces.
//
// For: peers whose client is part of what they are. Not for: queues made of SQL; client/sql_client.c does those.
// Producers run in one thread and consumers in another, so that a peer may use more than one core. The threads
// share three counters. It prints one JSON object, of the same shape as sql_client's.
import { isMainThread, Worker, workerData } from "node:worker_threads";
import { randomBytes } from "node:crypto";
import { parseArgs } from "node:util";
import { setTimeout as sleep } from "node:timers/promises";

const QUEUE = "bench";
const SENT = 0;
const SETTLED = 1;
const STOPPING = 2;

const peers = { pgboss: pgBoss, graphile: graphileWorker };

if (isMainThread) {
  await main();
} else {
  await runRole(workerData);
}

async function main() {
  const { values } = parseArgs({
    options: Object.fromEntries(
      ["system", "action", "producers", "consumers", "batch", "payload-bytes", "seconds", "warmup-seconds",
        "backlog-max", "count"].map((name) => [name, { type: "string" }]),
    ),
  });
  const number = (name, otherwise) => (values[name] === undefined ? otherwise : Number(values[name]));
  const options = {
    system: values.system,
    action: values.action ?? "run",
    producers: number("producers", 1),
    consumers: number("consumers", 1),
    batch: number("batch", 100),
    payloadBytes: number("payload-bytes", 250),
    seconds: number("seconds", 5),
    warmupSeconds: number("warmup-seconds", 1),
    backlogMax: number("backlog-max", 2000),
    count: number("count", 0),
  };
  const peer = peers[options.system];
  if (!peer) throw new Error(`unknown system \`${options.system}\``);
  if (options.action === "setup") return (await peer(options)).setup();
  if (options.action !== "run") return fill(await peer(options), options);
  await measure(options);
}

/** Puts `count` messages into the queue, due tomorrow or now, by the peer's own batch insert. */
async function fill(peer, options) {
  const runAt = options.action === "fill-later" ? new Date(Date.now() + 86_400_000) : undefined;
  const send = await peer.sender(4);
  const payloads = makePayloads(1000, options.payloadBytes);
  let left = options.count;
  const filler = async () => {
    while (left > 0) {
      const n = Math.min(1000, left);
      left -= n;
      await send(payloads.slice(0, n), runAt);
    }
  };
  await Promise.all([filler(), filler(), filler(), filler()]);
  await send.close();
}

async function measure(options) {
  const counters = new Int32Array(new SharedArrayBuffer(64));
  const roles = [];
  if (options.producers > 0) roles.push("produce");
  if (options.consumers > 0) roles.push("consume");
  const done = roles.map((role) => {
    const worker = new Worker(new URL(import.meta.url), { workerData: { role, options, counters } });
    return new Promise((resolve, reject) => {
      worker.on("error", reject);
      worker.on("exit", resolve);
    });
  });
  const failed = Promise.all(done).then(() => { throw new Error("a thread ended early"); });
  const measured = (async () => {
    await sleep(options.warmupSeconds * 1000);
    const start = performance.now();
    const before = [Atomics.load(counters, SENT), Atomics.load(counters, SETTLED)];
    const series = [];
    let last = 0;
    for (let second = 1; second <= options.seconds; second++) {
      await sleep(Math.max(0, start + second * 1000 - performance.now()));
      const counter = options.consumers > 0 ? SETTLED : SENT;
      const count = Atomics.load(counters, counter) - before[counter];
      series.push(count - last);
      last = count;
    }
    return {
      sent: Atomics.load(counters, SENT) - before[SENT],
      settled: Atomics.load(counters, SETTLED) - before[SETTLED],
      seconds: (performance.now() - start) / 1000,
      retries: 0,
      series,
    };
  })();
  const result = await Promise.race([measured, failed]);
  Atomics.store(counters, STOPPING, 1);
  console.log(JSON.stringify(result));
  // What is still in flight is of no interest, and a library's orderly shutdown may wait for seconds.
  await Promise.race([Promise.all(done), sleep(3000)]);
  process.exit(0);
}

async function runRole({ role, options, counters }) {
  const peer = await peers[options.system](options);
  if (role === "produce") await produce(peer, options, counters);
  else await peer.consume(counters);
  process.exit(0);
}

async function produce(peer, options, counters) {
  const send = await peer.sender(options.producers);
  const payloads = makePayloads(options.batch, options.payloadBytes);
  const producer = async () => {
    while (!Atomics.load(counters, STOPPING)) {
      const backlog = Atomics.load(counters, SENT) - Atomics.load(counters, SETTLED);
      if (options.consumers > 0 && backlog >= options.backlogMax) {
        await sleep(1);
        continue;
      }
      await send(payloads);
      Atomics.add(counters, SENT, payloads.length);
    }
  };
  await Promise.all(Array.from({ length: options.producers }, producer));
}

/** Random base64, so that TOAST compression wins nothing and every store carries all the bytes. */
function makePayloads(count, bytes) {
  return Array.from({ length: count }, () => ({ d: randomBytes(bytes).toString("base64").slice(0, bytes - 8) }));
}

async function pgBoss(options) {
  const { PgBoss } = await import("pg-boss");
  // Maintenance, schedules and supervision are switched off while measuring, which favours pg-boss.
  const open = async (max) => {
    const boss = new PgBoss({ max, supervise: false, schedule: false, migrate: options.action === "setup" });
    boss.on("error", (error) => { throw error; });
    await boss.start();
    return boss;
  };
  return {
    async setup() {
      const boss = await open(2);
      await boss.createQueue(QUEUE);
      await boss.stop({ graceful: false });
    },
    async sender(connections) {
      const boss = await open(connections);
      const send = async (payloads, startAfter) => {
        if (payloads.length === 1) await boss.send(QUEUE, payloads[0], startAfter ? { startAfter } : undefined);
        else await boss.insert(QUEUE, payloads.map((data) => (startAfter ? { data, startAfter } : { data })));
      };
      send.close = () => boss.stop({ graceful: false });
      return send;
    },
    async consume(counters) {
      const boss = await open(options.consumers);
      const consumer = async () => {
        while (!Atomics.load(counters, STOPPING)) {
          const jobs = await boss.fetch(QUEUE, { batchSize: options.batch });
          if (jobs.length === 0) {
            await sleep(1);
            continue;
          }
          await boss.complete(QUEUE, jobs.map((job) => job.id));
          Atomics.add(counters, SETTLED, jobs.length);
        }
      };
      await Promise.all(Array.from({ length: options.consumers }, consumer));
    },
  };
}

async function graphileWorker(options) {
  const { makeWorkerUtils, run, Logger } = await import("graphile-worker");
  const { default: pg } = await import("pg");
  const logger = new Logger(() => () => {});
  const fail = (error) => { throw error; };
  const openPool = (max) => new pg.Pool({ max }).on("error", fail).on("connect", (client) => client.on("error", fail));
  const open = async (max) => {
    const pool = openPool(max);
    return { pool, utils: await makeWorkerUtils({ pgPool: pool, logger }) };
  };
  return {
    async setup() {
      const { pool, utils } = await open(2);
      await utils.migrate();
      await utils.release();
      await pool.end();
    },
    async sender(connections) {
      const { pool, utils } = await open(connections);
      const send = async (payloads, runAt) => {
        if (payloads.length === 1) await utils.addJob(QUEUE, payloads[0], runAt ? { runAt } : undefined);
        else await utils.addJobs(payloads.map((payload) => ({ identifier: QUEUE, payload, ...(runAt && { runAt }) })));
      };
      send.close = async () => { await utils.release(); await pool.end(); };
      return send;
    },
    async consume(counters) {
      // A consumer that takes batches of N is N jobs at once out of a local queue, settled together: the
      // settings that its performance page uses.
      const jobsAtOnce = Math.min(options.consumers * options.batch, 256);
      const pool = openPool(options.consumers + 2);
      await run({
        pgPool: pool,
        logger,
        noHandleSignals: true,
        parsedCronItems: [],
        taskList: { [QUEUE]: () => { Atomics.add(counters, SETTLED, 1); } },
        preset: {
          worker: {
            concurrentJobs: jobsAtOnce,
            pollInterval: 10,
            localQueue: { size: Math.max(jobsAtOnce + 1, 500) },
            completeJobBatchDelay: 0,
            failJobBatchDelay: 0,
          },
        },
      });
      while (!Atomics.load(counters, STOPPING)) await sleep(20);
    },
  };
}
