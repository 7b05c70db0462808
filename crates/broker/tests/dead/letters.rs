//! Dead letters: found, shown, counted, exported, sorted out, put away.

use std::collections::BTreeSet;

use posthaste_base::{Category, Code, DeadLetterId};
use posthaste_broker::{DiscardIn, EventStatus, RedriveIn, triage_file};
use posthaste_store::attempt::{self, AttemptRow};
use posthaste_store::dead::NewDeadLetter;
use posthaste_store::{PoolOptions, Session};
use serde_json::{Value, json};

use super::{EVENT_ID, LEFT, Yard, filter, redrive, run};

fn discard(body: Value, reason: &str) -> DiscardIn {
    DiscardIn { filter: filter(body), reason: reason.into(), max_messages: None, discarded_by: "ann".into() }
}

#[tokio::test]
async fn filters_select_by_every_part() {
    let yard = Yard::new().await;
    let endpoint_id = yard.broker.catalog().endpoint("shop").unwrap().id.0;
    let base = yard.letter("mail", 1);
    let ids = yard
        .add(&[
            NewDeadLetter { category: "VALIDATION", code: "SchemaValidationError".into(), ..base.clone() },
            NewDeadLetter { event_type: Some("paid".into()), endpoint_id: Some(endpoint_id), ..base.clone() },
            NewDeadLetter { category: "TIMEOUT", code: "timeout".into(), ..yard.letter("parcels", 2) },
            NewDeadLetter { category: "PERMANENT", code: "http-404".into(), ..base },
        ])
        .await;
    let check = async |body: Value, places: &[usize]| {
        let expected: Vec<i64> = places.iter().map(|place| ids[*place]).collect();
        assert_eq!(yard.preview(body.clone()).await, expected, "{body}");
    };
    check(json!({"errorType": "schemavalidationerror"}), &[0]).await;
    check(json!({"errorType": "Validation"}), &[0]).await;
    check(json!({"errorType": "HTTP-503"}), &[1]).await;
    check(json!({"errorType": "transient"}), &[1]).await;
    check(json!({"errorType": "TimeOut"}), &[2]).await;
    check(json!({"errorType": "processing"}), &[]).await;
    check(json!({"type": "paid"}), &[1]).await;
    check(json!({"endpoint": "shop"}), &[1]).await;
    check(json!({"endpoint": "other"}), &[]).await;
    check(json!({"queue": "parcels"}), &[2]).await;
    check(json!({"queue": "mail", "errorType": "permanent"}), &[3]).await;
    check(json!({"ids": [ids[3], ids[0], ids[0], 9_999]}), &[0, 3]).await;
    check(json!({"ids": [ids[3], ids[0]], "maxMessages": 1}), &[0]).await;
    check(json!({"minAgeSeconds": 300}), &[]).await;
    check(json!({"maxAgeSeconds": 300}), &[0, 1, 2, 3]).await;
    check(json!({"from": "2100-01-01T00:00:00Z"}), &[]).await;
    check(json!({"to": "2100-01-01T00:00:00Z"}), &[0, 1, 2, 3]).await;
    let refused = async |body: Value| yard.broker.preview_redrive(&redrive(body)).await.unwrap_err().code();
    assert_eq!(refused(json!({"queue": "nowhere"})).await, Code::UnknownQueue);
    assert_eq!(refused(json!({"endpoint": "nobody"})).await, Code::NotFound);
    assert_eq!(refused(json!({"minAgeSeconds": -1})).await, Code::InvalidParameter);

    let run = yard.start(json!({"errorType": "transient"})).await;
    check(json!({}), &[0, 2, 3]).await;
    assert_eq!(run.filter, json!({"errorType": "transient"}));
}

#[tokio::test]
async fn discarded_letters_are_in_the_archive_to_the_byte() {
    let yard = Yard::new().await;
    let payload: Vec<u8> = (0..=255).collect();
    let letter = NewDeadLetter { payload: Some(payload.clone()), ..yard.letter("mail", 5) };
    let taken = NewDeadLetter { code: "taken".into(), ..yard.letter("mail", 6) };
    let ids = yard.add(&[letter, taken, yard.letter("parcels", 7)]).await;
    yard.start(json!({"errorType": "taken"})).await;
    let nameless = yard.broker.discard_dead(&discard(json!({}), " ")).await.unwrap_err();
    assert_eq!(nameless.field_name(), Some("reason"));
    let done = yard.broker.discard_dead(&discard(json!({"queue": "mail"}), "test data")).await.unwrap();
    assert_eq!(done.discarded, 1, "not the one that a redrive has taken");
    let session = yard.db.pool.get().await.unwrap();
    let archived = "select id, payload, archived_by, reason, receives, died_at <= archived_at
        from posthaste.dead_letter_archive";
    let row = session.query_one(archived, &[]).await.unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, Vec<u8>>(1)), (ids[0], payload));
    assert_eq!((row.get::<_, &str>(2), row.get::<_, &str>(3)), ("ann", "test data"));
    assert_eq!((row.get::<_, i16>(4), row.get::<_, bool>(5)), (3, true));
    let done = yard.broker.discard_dead(&discard(json!({"ids": [ids[2], ids[0]]}), "by id")).await.unwrap();
    assert_eq!((done.discarded, yard.count(LEFT).await), (1, 1));
}

#[tokio::test]
async fn letters_past_their_queues_retention_go_to_the_archive() {
    let yard = Yard::new().await;
    run(&yard.db, "update posthaste.queue set dead_retention_seconds = 30 * 86400 where name = 'parcels'")
        .await;
    yard.add(&[yard.letter("mail", 1), yard.letter("mail", 2), yard.letter("mail", 3)]).await;
    yard.add(&[yard.letter("parcels", 4)]).await;
    assert_eq!(yard.broker.sweep_expired_dead(10).await.unwrap(), 0);
    let yard = yard.restarted("15 days").await;
    yard.start(json!({"maxMessages": 1})).await;
    assert_eq!(yard.broker.sweep_expired_dead(1).await.unwrap(), 1);
    assert_eq!(yard.broker.sweep_expired_dead(10).await.unwrap(), 1, "a redrive has taken the third");
    let archived = "select count(*) from posthaste.dead_letter_archive where reason = 'retention'";
    assert_eq!((yard.count(archived).await, yard.count(LEFT).await), (2, 2));
}

/// A dead letter may stay for longer than its event's key would: the key lives on, and the event stays failed.
#[tokio::test]
async fn an_event_outlives_its_dead_letter_by_the_time_of_a_key_and_stays_failed() {
    for aged in [false, true] {
        let yard = Yard::new().await;
        let ids = yard.add_failed_event().await;
        assert_eq!(yard.status().await, (EventStatus::Failed, 1));
        let yard = yard.restarted("15 days").await;
        if aged {
            assert_eq!(yard.broker.sweep_expired_dead(10).await.unwrap(), 1);
        } else {
            let done = yard.broker.discard_dead(&discard(json!({"ids": ids}), "no use")).await.unwrap();
            assert_eq!(done.discarded, 1);
        }
        assert_eq!(yard.status().await, (EventStatus::Failed, 1), "aged: {aged}");
        let kept = "select (e.expires_at - posthaste.now() > interval '6 days 23 hours')::int::bigint
            from posthaste.event e";
        assert_eq!(yard.count(kept).await, 1, "aged: {aged}");
    }
}

#[tokio::test]
async fn listing_goes_page_by_page_both_ways() {
    let yard = Yard::new().await;
    let ids = yard.add_many(7).await;
    for newest_first in [false, true] {
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = yard
                .broker
                .list_dead(&filter(json!({"queue": "mail"})), newest_first, after, 3)
                .await
                .unwrap();
            assert!(page.letters.iter().all(|letter| letter.payload.is_none()));
            seen.extend(page.letters.iter().map(|letter| letter.id.0));
            after = page.next.map(DeadLetterId);
            if after.is_none() {
                break;
            }
        }
        if newest_first {
            seen.reverse();
        }
        assert_eq!(seen, ids);
    }
}

#[tokio::test]
async fn one_letter_is_shown_with_its_attempts() {
    let yard = Yard::new().await;
    let event_id = Some(EVENT_ID.parse().unwrap());
    let endpoint_id = yard.broker.catalog().endpoint("shop").unwrap().id.0;
    let attempt = |message_id| AttemptRow {
        message_id,
        event_id,
        endpoint_id,
        receive: 1,
        status: Some(503),
        latency_ms: 12,
        category: Some("TRANSIENT"),
        code: Some("http-503".into()),
        error: None,
        response: b"busy".to_vec(),
    };
    let session = yard.db.pool.get().await.unwrap();
    attempt::insert(&session, &[attempt(71), attempt(72)]).await.unwrap();
    let letter = NewDeadLetter {
        event_id,
        endpoint_id: Some(endpoint_id),
        attributes: Some(r#"{"region": "eu"}"#.into()),
        payload: Some(vec![255]),
        ..yard.letter("mail", 71)
    };
    let ids = yard.add(&[letter]).await;
    let letter = yard.broker.dead_letter(DeadLetterId(ids[0])).await.unwrap();
    let shown = serde_json::to_value(&letter).unwrap();
    assert_eq!(shown["attempts"].as_array().map(Vec::len), Some(1), "only this message's: {shown}");
    assert_eq!(shown["attempts"][0]["response"], "busy");
    assert_eq!(shown["attributes"], json!({"region": "eu"}));
    assert_eq!((&shown["payloadBase64"], &shown["endpoint"]), (&json!("/w=="), &json!("shop")));
    assert_eq!((&shown["messageId"], &shown["queue"]), (&json!(71), &json!("mail")));
    let missing = yard.broker.dead_letter(DeadLetterId(999)).await.unwrap_err();
    assert_eq!(missing.code(), Code::NotFound);
}

#[tokio::test]
async fn letters_are_counted_by_queue_category_and_code() {
    let yard = Yard::new().await;
    yard.add_many(3).await;
    yard.add(&[yard.letter("parcels", 9)]).await;
    let counts = yard.broker.count_dead_letters(None).await.unwrap();
    let told: Vec<_> = counts.iter().map(|one| (one.queue.as_str(), one.count, one.at_least)).collect();
    assert_eq!(told, [("mail", 3, false), ("parcels", 1, false)]);
    assert_eq!(yard.broker.count_dead_letters(Some("parcels")).await.unwrap().len(), 1);
    run(
        &yard.db,
        "insert into posthaste.dead_letter
            (queue_id, message_id, receives, category, code, error, sent_at, payload)
        select d.queue_id, n, 1, 'TIMEOUT', 'timeout', '', d.sent_at, ''
        from posthaste.dead_letter d, generate_series(1, 10001) n where d.message_id = 9",
    )
    .await;
    let counts = yard.broker.count_dead_letters(Some("parcels")).await.unwrap();
    let told: Vec<_> = counts.iter().map(|one| (one.code.as_str(), one.count, one.at_least)).collect();
    assert_eq!(told, [("timeout", 10_001, true)], "the newest were counted");
    let rare = yard.preview(json!({"queue": "parcels", "errorType": "http-503"})).await;
    assert_eq!(rare.len(), 1, "a search goes on past what one statement looks at");
    assert_eq!(yard.preview(json!({"errorType": "timeout", "maxMessages": 1_000})).await.len(), 1_000);
}

#[tokio::test]
async fn export_is_one_line_a_letter_with_its_payload() {
    let yard = Yard::new().await;
    let spread = b"{\r\n  \"big\": 12345678901234567890123,\n  \"text\": \"a\\nb\"\n}".to_vec();
    yard.add(&[NewDeadLetter { payload: Some(spread), ..yard.letter("mail", 1) }]).await;
    yard.add_many(2).await;
    let page = yard.broker.export_dead(&filter(json!({})), None, 2).await.unwrap();
    let lines: Vec<&str> = page.lines.lines().collect();
    assert_eq!(lines.len(), 2);
    assert!(lines[0].contains("12345678901234567890123"), "numbers stay as they were: {}", lines[0]);
    let first: Value = serde_json::from_str(lines[0]).unwrap();
    assert_eq!(first["payload"]["text"], "a\nb");
    let page = yard.broker.export_dead(&filter(json!({})), page.next.map(DeadLetterId), 2).await.unwrap();
    assert_eq!((page.lines.lines().count(), page.next), (1, None));
}

#[tokio::test]
async fn triage_gives_a_redrive_that_takes_the_group_and_nothing_else() {
    let yard = Yard::new().await;
    let letter = |category: Category, code: &str, error: &str| NewDeadLetter {
        category: category.as_str(),
        code: code.into(),
        error: error.into(),
        ..yard.letter("mail", 1)
    };
    yard.add(&[
        letter(Category::Transient, "connect-refused", "the connection was refused"),
        letter(Category::Transient, "http-503", "the endpoint failed (HTTP 503)"),
        letter(Category::Transient, "HTTP-503", "the endpoint failed (HTTP 503)"),
        letter(Category::Timeout, "timeout", "no answer in time"),
        letter(Category::Permanent, "http-404", "there is nothing at this address (HTTP 404)"),
        letter(Category::Processing, "handler", "connection pool exhausted"),
        letter(Category::Processing, "handler", "invalid JSON"),
    ])
    .await;
    let out = yard.broker.triage_dead(None).await.unwrap();
    assert_eq!((out.triage.letters, out.is_partial, out.counts.len()), (7, false, 6));
    assert!(out.redrives.len() >= 3, "{out:?}");
    for group in &out.redrives {
        let of_triage = out
            .triage
            .groups
            .iter()
            .find(|one| (one.cause, one.category) == (group.cause, group.category))
            .expect("its group");
        let expected: BTreeSet<i64> = of_triage.message_ids.iter().map(|id| id.parse().unwrap()).collect();
        let redrive = RedriveIn {
            filter: group.filter.clone(),
            max_messages: Some(group.max_messages as i64),
            per_message_delay_jitter: Some(group.per_message_delay_jitter.into()),
            rate_per_second: Some(group.rate_per_second.into()),
            started_by: "ann".into(),
        };
        let preview = yard.broker.preview_redrive(&redrive).await.unwrap();
        let taken: BTreeSet<i64> = preview.messages.iter().map(|letter| letter.id.0).collect();
        assert_eq!(taken, expected, "{group:?}");
    }
    let short = out.redrives.iter().find(|group| group.filter.error_type.as_deref() == Some("http-503"));
    assert!(short.is_some_and(|group| group.filter.ids.is_none()), "{out:?}");
}

#[tokio::test]
async fn own_export_is_sorted_out_like_the_letters_themselves() {
    let yard = Yard::new().await;
    let typed = NewDeadLetter { event_type: Some("paid".into()), ..yard.letter("mail", 1) };
    let binary = NewDeadLetter { payload: Some(vec![255]), ..yard.letter("mail", 2) };
    let late = NewDeadLetter { category: "TIMEOUT", code: "timeout".into(), ..yard.letter("mail", 3) };
    yard.add(&[typed, binary, late]).await;
    let page = yard.broker.export_dead(&filter(json!({})), None, 100).await.unwrap();
    let lines: Value = page.lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).collect();
    let of_file = triage_file(&lines).unwrap().triage;
    assert_eq!(of_file.groups, yard.broker.triage_dead(Some("mail")).await.unwrap().triage.groups);
}

#[test]
fn file_of_dead_letters_is_sorted_out_alike() {
    let sample = include_str!("../../../engine/tests/samples/sqs_dlq_messages.json");
    let out = triage_file(&serde_json::from_str(sample).unwrap()).unwrap();
    assert_eq!(out.triage.letters, 7);
    assert!(!out.triage.groups.is_empty() && out.redrives.is_empty());
    assert_eq!(triage_file(&json!(3)).unwrap_err().code(), Code::InvalidFile);
}

/// What grows is walked along an index, whatever the statistics say; the declared queues are few.
#[tokio::test]
async fn statements_rely_on_indexes() {
    let yard = Yard::new().await;
    let session: &Session = &yard.db.pool_with(PoolOptions::of_size(8)).get().await.unwrap();
    for (name, text) in [
        ("match_oldest", include_str!("../../../store/sql/dead/match_oldest.sql")),
        ("match_newest", include_str!("../../../store/sql/dead/match_newest.sql")),
        ("sweep_expired", include_str!("../../../store/sql/dead/sweep_expired.sql")),
        ("count", include_str!("../../../store/sql/dead/count.sql")),
        ("sweep_due", include_str!("../../../store/sql/redrive/sweep_due.sql")),
        ("release_letters", include_str!("../../../store/sql/redrive/release_letters.sql")),
    ] {
        session.batch_execute(&format!("prepare p as {text}")).await.expect(name);
        let nulls = vec!["null"; (1..=13).take_while(|n| text.contains(&format!("${n}"))).count()].join(", ");
        let rows = session.query(&format!("explain execute p({nulls})"), &[]).await.expect(name);
        let plan: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        let scans: Vec<_> = plan
            .iter()
            .filter(|line| line.contains("Seq Scan") && !line.contains("Seq Scan on queue"))
            .collect();
        assert!(scans.is_empty(), "{name}:\n{}", plan.join("\n"));
        session.batch_execute("deallocate p").await.unwrap();
    }
}
