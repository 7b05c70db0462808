//! Seeded mutations of good requests: whatever comes, the answer is ours, and never a 500.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::document::operations;
use crate::server::Server;

const ROUNDS: usize = 12;
/// Names the seed of a run that is to be repeated.
const SEED: &str = "FUZZ_SEED";

/// Good bodies, by operation. All others get an empty object.
fn good(operation: &str) -> Value {
    let filter = json!({"queue": "mail", "errorType": "TIMEOUT", "minAgeSeconds": 1, "from": "2026-01-01T00:00:00Z", "ids": [1]});
    match operation {
        "POST /events" => {
            json!({"type": "t", "payload": {"a": [1, 2.5]}, "key": "k", "subject": "u", "priority": "HIGH",
            "dueAt": "2030-01-01T09:00 Europe/Berlin", "attributes": {"r": "eu"}})
        }
        "POST /events/batch" => {
            json!({"events": [{"type": "t", "payload": 1}, {"payload": {"orderId": "a", "amount": 1}}]})
        }
        "POST /queues/{queue}/messages" => {
            json!({"messages": [{"payload": {"a": 1}, "attributes": {"b": 1}, "delaySeconds": 1}]})
        }
        "POST /queues/{queue}/receive" => json!({"maxMessages": 1, "visibilitySeconds": 30}),
        "POST /queues/{queue}/settle" => json!({"receipts": ["x"]}),
        "POST /queues/{queue}/give-back" => json!({"receipts": ["x"], "delaySeconds": 1}),
        "POST /queues/{queue}/extend" => json!({"receipt": "x", "seconds": 1}),
        "PUT /queues/{queue}" | "PATCH /queues/{queue}" => {
            json!({"settings": {"visibilitySeconds": 200, "delaySeconds": 1, "maxReceives": 3}})
        }
        "PUT /topics/{topic}" | "PATCH /topics/{topic}" => {
            json!({"priority": "LOW", "schema": {"type": "object", "properties": {"a": {"type": "string", "pattern": "^a"}}}})
        }
        "PUT /subscriptions/{subscription}" | "PATCH /subscriptions/{subscription}" => {
            json!({"topic": "t", "queue": "mail", "filter": {"scope": "payload", "a": [{"prefix": "b"}, {"numeric": [">", 1]}]}})
        }
        "PUT /endpoints/{endpoint}" | "PATCH /endpoints/{endpoint}" => {
            json!({"url": "https://shop.example/hook", "kind": "webhook",
            "settings": {"timeoutMs": 100, "headers": {"X-A": "b"}, "rate": {"perSecond": 1, "burst": 2}, "breaker": {"openMs": 5}}})
        }
        "POST /endpoints/{endpoint}/rotate-secret" => json!({"overlapSeconds": 5}),
        "PUT /subjects/{id}" | "PATCH /subjects/{id}" => {
            json!({"zone": "Europe/Berlin", "dates": {"birthday": "1990-03-15"}, "attributes": {"a": 1}})
        }
        "POST /schedules" => {
            json!({"name": "n", "type": "t", "rule": {"rrule": "FREQ=WEEKLY;BYDAY=MO", "from": "2026-01-05"},
            "zone": "UTC", "at": "09:00", "priority": "LOW", "attributes": {}, "payload": {"a": 1}})
        }
        "POST /dead-letters/discard" => json!({"filter": filter, "reason": "r", "maxMessages": 5}),
        "POST /redrive/start" => {
            let mut redrive = filter;
            redrive["perMessageDelayJitter"] = json!(5);
            redrive
        }
        "PUT /failure-mode" => json!({"mode": "none", "seed": 1, "percent": 5}),
        _ => json!({}),
    }
}

/// splitmix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    fn of<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }
}

fn odd(random: &mut Random) -> Value {
    let choices = [
        json!(null),
        json!(true),
        json!(-1),
        json!(0),
        json!(i64::MAX),
        json!(i64::MIN),
        json!(u64::MAX),
        json!(1e308),
        json!(-0.5),
        json!(""),
        json!("\u{0}"),
        json!("a\u{0}b"),
        json!("😀"),
        json!("\u{202e}"),
        json!("x".repeat(300)),
        json!("y".repeat(70_000)),
        json!("9999-12-31T23:59:59Z"),
        json!("-9999-01-01T00:00:00Z"),
        json!("2026-02-30T00:00"),
        json!("0001-01-01T00:00 UTC"),
        json!("'; drop table x; --"),
        json!("%00"),
        json!("../.."),
        json!("FREQ=SECONDLY;COUNT=99999999999"),
        json!("* * 31 2 *"),
        json!("http://[::1"),
        json!("https://a:b@c/"),
        json!([]),
        json!({}),
        json!([[]]),
        json!({"": {}}),
        json!([null]),
        json!({"$ref": "#"}),
        json!({"type": 7}),
        json!({"pattern": "(a+)+$"}),
        json!([{"numeric": []}]),
    ];
    random.of(&choices).clone()
}

/// Changes one place somewhere in a value.
fn change(random: &mut Random, value: &mut Value) {
    let is_here = random.below(3) == 0;
    match value {
        Value::Object(members) if !members.is_empty() && !is_here => {
            let names: Vec<String> = members.keys().cloned().collect();
            let name = random.of(&names).clone();
            match random.below(5) {
                0 => drop(members.remove(&name)),
                1 => {
                    let moved = members.remove(&name).unwrap_or_default();
                    members.insert(format!("{name}\u{0}"), moved);
                }
                _ => change(random, &mut members[&name]),
            }
        }
        Value::Array(items) if !items.is_empty() && !is_here => {
            let at = random.below(items.len());
            change(random, &mut items[at]);
        }
        other => *other = odd(random),
    }
}

/// Changes the bytes: cut off, turned, put in, doubled.
fn damage(random: &mut Random, bytes: &mut Vec<u8>) {
    let at = random.below(bytes.len());
    match random.below(4) {
        0 => bytes.truncate(at),
        1 => bytes[at] ^= 1 << random.below(8),
        2 => bytes.insert(at, *random.of(b"\xff\x00{}[]\",:9-e\\")),
        _ => {
            let part = bytes[at..].to_vec();
            bytes.extend(part);
        }
    }
}

const ODD_PARTS: [&str; 10] =
    ["%00", "%ff", "a%2Fb", "%2e%2e", "%F0%9F%98%80", "-1", "9223372036854775808", "%27", "a%0Ab", "%"];
const ODD_QUERIES: [&str; 8] =
    ["limit=-1", "limit=1e9", "cursor=AAAA", "cursor=%00", "queue=%ff", "=", "&&&", "type=%00&key=%00"];

#[tokio::test]
async fn no_request_brings_a_500() {
    let given = std::env::var(SEED).ok().and_then(|text| text.parse().ok());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seed: u64 = given.unwrap_or(now.as_nanos() as u64);
    println!("{SEED}={seed}");
    let mut random = Random(seed);
    let server = Server::declaring("[queues.mail]\n[subscriptions.s]\ntopic = \"t\"\nqueue = \"mail\"").await;
    for (method, path, name) in operations() {
        let good = good(&format!("{method} {name}"));
        for round in 0..ROUNDS {
            let mut target = path.replace("none", "mail");
            if name.contains('{') && random.below(4) == 0 {
                target = path.replace("none", "7").replace('7', random.of::<&str>(&ODD_PARTS));
            }
            if random.below(4) == 0 {
                target = format!("{target}?{}", random.of(&ODD_QUERIES));
            }
            let mut value = good.clone();
            if round % 3 > 0 {
                change(&mut random, &mut value);
            }
            let mut body = value.to_string().into_bytes();
            if round % 3 == 2 || round == 0 {
                damage(&mut random, &mut body);
            }
            if method == "GET" {
                body.clear();
            }
            let answer = server.send(&format!("{method} {target}"), &[], &body).await;
            let sent = String::from_utf8_lossy(&body);
            let sent: String = sent.chars().take(2_000).collect();
            assert!(answer.status < 500, "{SEED}={seed}: {method} {target}\n{sent}\n{}", answer.text());
            if answer.status >= 400 {
                let problem = answer.json();
                assert!(problem["code"].is_string() && problem["nextStep"].is_string(), "{problem:#}");
            }
        }
    }
}
