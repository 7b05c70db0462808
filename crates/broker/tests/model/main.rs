//! A model test: random operations on two nodes of one database, each held against an oracle in memory.
//!
//! A run prints its seed; `POSTHASTE_SEED=n` repeats it. What fails is tried again with ever fewer operations, so
//! that the shortest list that still fails is what is read. `POSTHASTE_RUNS=n` makes more runs than the usual few.

mod oracle;
mod world;

use std::fmt;
use std::time::{Duration, Instant};

use world::World;

/// Durations are in steps; `picks` choose among the receipts that were handed out, modulo their number.
#[derive(Clone, Debug)]
enum Op {
    Send {
        node: usize,
        queue: usize,
        n: usize,
        delay: Option<i64>,
    },
    Publish {
        node: usize,
        key: u8,
        variant: u8,
        due: Option<i64>,
    },
    TakeUp {
        node: usize,
    },
    Receive {
        node: usize,
        queue: usize,
        max: usize,
        lease: i64,
    },
    /// By both nodes at the same time, while a third party sends.
    ReceiveTogether {
        queue: usize,
        max: usize,
        lease: i64,
        sent: usize,
    },
    Settle {
        node: usize,
        picks: Vec<usize>,
    },
    /// The same receipts, by both nodes at the same time.
    SettleTogether {
        picks: Vec<usize>,
    },
    GiveBack {
        node: usize,
        picks: Vec<usize>,
        delay: i64,
    },
    PutOff {
        node: usize,
        picks: Vec<usize>,
        delay: i64,
    },
    Kill {
        node: usize,
        picks: Vec<usize>,
    },
    Extend {
        node: usize,
        pick: usize,
        by: i64,
    },
    Sweep {
        node: usize,
        queue: usize,
    },
    Promote {
        node: usize,
        queue: usize,
    },
    Pass {
        steps: i64,
    },
    Redrive {
        node: usize,
        queue: usize,
        max: usize,
    },
    Purge {
        node: usize,
        queue: usize,
    },
    Rotate {
        queue: usize,
    },
    Empty {
        queue: usize,
    },
    /// A node learns of a rotation late.
    Refresh {
        node: usize,
    },
    Peek {
        node: usize,
        queue: usize,
        max: usize,
    },
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % limit as u64) as usize
    }

    fn steps(&mut self, from: i64, to: i64) -> i64 {
        from + self.below((to - from + 1) as usize) as i64
    }

    fn picks(&mut self) -> Vec<usize> {
        let n = 1 + self.below(6);
        (0..n).map(|_| self.below(10_000)).collect()
    }

    fn op(&mut self) -> Op {
        let (node, queue) = (self.below(2), self.below(2));
        match self.below(100) {
            0..16 => {
                let delay = (self.below(4) == 0).then(|| self.steps(1, 4));
                Op::Send { node, queue, n: 1 + self.below(20), delay }
            }
            16..26 => {
                let due = (self.below(3) == 0).then(|| self.steps(1, 5));
                Op::Publish { node, key: self.below(24) as u8, variant: u8::from(self.below(6) == 0), due }
            }
            26..30 => Op::TakeUp { node },
            30..45 => Op::Receive { node, queue, max: 1 + self.below(25), lease: self.steps(1, 5) },
            45..48 => {
                let (max, lease, sent) = (1 + self.below(15), self.steps(1, 5), self.below(10));
                Op::ReceiveTogether { queue, max, lease, sent }
            }
            48..58 => Op::Settle { node, picks: self.picks() },
            58..60 => Op::SettleTogether { picks: self.picks() },
            60..65 => Op::GiveBack { node, picks: self.picks(), delay: self.steps(0, 4) },
            65..68 => Op::PutOff { node, picks: self.picks(), delay: self.steps(0, 4) },
            68..71 => Op::Kill { node, picks: self.picks() },
            71..75 => Op::Extend { node, pick: self.below(10_000), by: self.steps(1, 8) },
            75..80 => Op::Sweep { node, queue },
            80..84 => Op::Promote { node, queue },
            84..89 => Op::Pass { steps: self.steps(1, 4) },
            89..91 => Op::Redrive { node, queue, max: 1 + self.below(10) },
            91..92 => Op::Purge { node, queue },
            92..95 => Op::Rotate { queue },
            95..97 => Op::Empty { queue },
            97..98 => Op::Refresh { node },
            _ => Op::Peek { node, queue, max: 1 + self.below(30) },
        }
    }
}

/// An operation that did not do what it should, and why.
struct Failure {
    at: usize,
    why: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at operation {}: {}", self.at, self.why)
    }
}

async fn run(ops: &[Op]) -> Result<(), Failure> {
    let mut world = World::open().await;
    for (at, op) in ops.iter().enumerate() {
        let fail = |why| Failure { at, why };
        let done = tokio::time::timeout(STUCK, world.carry_out(op)).await;
        done.unwrap_or_else(|_| Err("it does not end".into())).map_err(fail)?;
        let is_whole = at % 10 == 9;
        world.check(is_whole).await.map_err(fail)?;
    }
    let done = tokio::time::timeout(STUCK, world.drain()).await;
    done.unwrap_or_else(|_| Err("it does not end".into()))
        .map_err(|why| Failure { at: ops.len(), why: format!("at the end: {why}") })
}

/// Leaves out ever smaller parts of the list as long as the rest fails too.
async fn shortest(mut ops: Vec<Op>, mut failure: Failure) -> (Vec<Op>, Failure) {
    ops.truncate(failure.at + 1);
    let started = Instant::now();
    let mut part = ops.len() / 2;
    while part > 0 {
        let mut from = 0;
        while from < ops.len() && started.elapsed() < SHRINK {
            let shorter: Vec<Op> = ops
                .iter()
                .enumerate()
                .filter(|(at, _)| !(from..from + part).contains(at))
                .map(|(_, op)| op.clone())
                .collect();
            match run(&shorter).await {
                Err(found) => {
                    ops = shorter;
                    ops.truncate(found.at + 1);
                    failure = found;
                }
                Ok(()) => from += part,
            }
        }
        part /= 2;
    }
    (ops, failure)
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is `{text}`, which is not a number")))
}

const OPERATIONS: usize = 120;
/// Much longer than any operation takes.
const STUCK: Duration = Duration::from_secs(20);
const SHRINK: Duration = Duration::from_secs(90);

#[tokio::test]
async fn two_nodes_do_what_the_oracle_does() {
    let given = number("POSTHASTE_SEED");
    let first = given.unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        now.expect("a clock").as_nanos() as u64
    });
    let runs = if given.is_some() { 1 } else { number("POSTHASTE_RUNS").unwrap_or(2) };
    for seed in (first..).take(runs as usize) {
        println!("POSTHASTE_SEED={seed}");
        let mut random = Random(seed);
        let ops: Vec<Op> = (0..OPERATIONS).map(|_| random.op()).collect();
        if let Err(failure) = run(&ops).await {
            eprintln!("POSTHASTE_SEED={seed} fails {failure}; looking for a shorter way to it");
            let (ops, failure) = shortest(ops, failure).await;
            let list: Vec<String> = ops.iter().map(|op| format!("  {op:?}")).collect();
            panic!("POSTHASTE_SEED={seed} fails {failure}\n{}", list.join("\n"));
        }
    }
}
