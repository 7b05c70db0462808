//! Time over HTTP: due events, subjects, schedules.

use serde_json::{Value, json};

use crate::server::Server;

async fn subject(server: &Server, zone: &str, birthday: &str) -> Value {
    let body = json!({"zone": zone, "dates": {"birthday": birthday}}).to_string();
    let change = server.put("/subjects/u1", body).await;
    assert!([200, 201].contains(&change.status), "{}", change.text());
    change.json()
}

async fn birthday(server: &Server) -> Value {
    let body = r#"{"name": "birthday-u1", "type": "BIRTHDAY", "subject": "u1", "follows": "birthday", "payload": {"a": 1}}"#;
    server.post("/schedules", body).await.expect(201)
}

async fn due(server: &Server, event: &Value) -> Value {
    server.get(&format!("/events/{}", event.as_str().unwrap())).await.expect(200)
}

#[tokio::test]
async fn an_event_waits_for_its_time_and_can_be_cancelled() {
    let server = Server::start().await;
    let body = r#"{"type": "a", "payload": 1, "dueAt": "2030-03-31T02:30 Europe/Berlin"}"#;
    let out = server.post("/events", body).await.expect(202);
    assert_eq!(out["dueAt"], "2030-03-31T01:30:00Z", "a local time that is skipped moves on");
    let path = format!("/events/{}", out["id"].as_str().unwrap());
    assert_eq!(server.get(&path).await.expect(200)["status"], "PENDING");
    assert_eq!(server.delete(&path).await.expect(200)["status"], "CANCELLED");
    assert_eq!(server.delete(&path).await.expect(200)["status"], "CANCELLED", "again changes nothing");

    let past = server.post("/events?type=a&dueAt=2020-01-01T00:00:00Z", "2").await.expect(202);
    let path = format!("/events/{}", past["id"].as_str().unwrap());
    server.delete(&path).await.refused(409, "conflict");
}

#[tokio::test]
async fn a_subject_that_moves_takes_its_events_along() {
    let server = Server::start().await;
    let made = subject(&server, "Europe/Berlin", "1990-07-15").await;
    assert_eq!(
        (&made["created"], &made["subject"]["id"], &made["moved"]),
        (&json!(true), &json!("u1"), &json!([]))
    );
    let schedule = birthday(&server).await;
    let event = schedule["eventId"].clone();
    assert!(schedule["nextAt"].as_str().unwrap().ends_with("-07-15T07:00:00Z"), "{schedule:#}");

    let moved = subject(&server, "America/New_York", "1990-07-15").await;
    assert_eq!((&moved["created"], &moved["moved"][0]["event"]), (&json!(false), &event));
    assert!(due(&server, &event).await["dueAt"].as_str().unwrap().ends_with("-07-15T13:00:00Z"));

    let patch = r#"{"dates": {"birthday": "1990-08-01"}}"#;
    let moved = server.patch("/subjects/u1", patch).await.expect(200);
    assert_eq!(moved["moved"][0]["event"], event);
    assert!(due(&server, &event).await["dueAt"].as_str().unwrap().ends_with("-08-01T13:00:00Z"));

    assert_eq!(server.get("/subjects").await.expect(200)["items"][0]["zone"], "America/New_York");
    let removed = server.delete("/subjects/u1").await.expect(200);
    assert_eq!(removed["withdrawn"], json!([event]));
    assert_eq!(due(&server, &event).await["status"], "CANCELLED");
    server.get("/subjects/u1").await.refused(404, "not-found");
}

#[tokio::test]
async fn a_schedule_pauses_resumes_and_ends() {
    let server = Server::start().await;
    subject(&server, "Europe/Berlin", "1990-07-15").await;
    let schedule = birthday(&server).await;
    assert_eq!((&schedule["status"], &schedule["payload"]), (&json!("active"), &json!({"a": 1})));

    let paused = server.post("/schedules/birthday-u1/pause", "").await.expect(200);
    assert_eq!(
        (&paused["schedule"]["status"], &paused["withdrawn"]),
        (&json!("paused"), &schedule["eventId"])
    );
    assert_eq!(paused["schedule"]["nextAt"], Value::Null);
    let resumed = server.post("/schedules/birthday-u1/resume", "").await.expect(200)["schedule"].clone();
    assert_eq!((&resumed["status"], &resumed["nextAt"]), (&json!("active"), &schedule["nextAt"]));

    let by_id = format!("/schedules/{}", schedule["id"]);
    assert_eq!(server.get(&by_id).await.expect(200)["name"], "birthday-u1");
    let cancelled = server.post(&format!("{by_id}/cancel"), "").await.expect(200);
    assert_eq!(
        (&cancelled["schedule"]["status"], &cancelled["withdrawn"]),
        (&json!("cancelled"), &resumed["eventId"])
    );
    server.post("/schedules/birthday-u1/resume", "").await.refused(409, "conflict");
}

#[tokio::test]
async fn every_kind_of_rule_is_taken() {
    let server = Server::start().await;
    for (rule, local) in [
        (json!({"once": "2030-05-01T10:15"}), "2030-05-01T10:15"),
        (json!({"yearly": "02-29"}), "T09:00"),
        (json!({"cron": "30 6 * * 1-5"}), "T06:30"),
        (json!({"rrule": "FREQ=WEEKLY;BYDAY=MO", "from": "2026-01-05T08:00"}), "T08:00"),
    ] {
        let body = json!({"type": "REMINDER", "rule": rule, "zone": "Asia/Kolkata"}).to_string();
        let schedule = server.post("/schedules", body).await.expect(201);
        assert!(schedule["nextLocal"].as_str().unwrap().contains(local), "{schedule:#}");
        assert_eq!((&schedule["zone"], &schedule["occurrences"]), (&json!("Asia/Kolkata"), &json!(1)));
    }
    let listed = server.get("/schedules?limit=3").await.expect(200);
    assert_eq!(listed["items"].as_array().unwrap().len(), 3);
    assert!(listed["nextCursor"].is_string());
    assert_eq!(server.get("/schedules?subject=nobody").await.expect(200)["items"], json!([]));
}

#[tokio::test]
async fn schedules_and_subjects_that_cannot_be_say_why() {
    let server = Server::start().await;
    subject(&server, "Europe/Berlin", "1990-07-15").await;
    for (body, status, code, field) in [
        (json!({"zone": "Europe/Berln"}), 422, "unknown-zone", "zone"),
        (json!({"zone": "+02:00"}), 422, "unknown-zone", "zone"),
        (json!({"zone": "UTC", "dates": {"birthday": "2025-02-29"}}), 422, "invalid-time", "dates.birthday"),
        (json!({"zone": "UTC", "dates": {"birthday": 7}}), 400, "invalid-parameter", ""),
        (json!({"zone": 7}), 400, "invalid-parameter", "zone"),
        (json!({"dates": {}}), 400, "invalid-parameter", "zone"),
        (json!({"zone": "UTC", "atributes": {}}), 400, "unknown-parameter", "atributes"),
    ] {
        let problem = server.put("/subjects/u2", body.to_string()).await.refused(status, code);
        assert_eq!(problem["field"].as_str().unwrap_or_default(), field, "{problem:#}");
    }
    let with = |name: &str, value: Value| {
        let mut body = json!({"type": "a", "zone": "UTC"});
        body[name] = value;
        body
    };
    for (body, status, code, field) in [
        (with("rule", json!({"cron": "61 * * * *"})), 422, "invalid-schedule", "rule.cron"),
        (
            with("rule", json!({"rrule": "FREQ=NEVER", "from": "2026-01-05T08:00"})),
            422,
            "invalid-schedule",
            "rule.rrule",
        ),
        (with("rule", json!({"yearly": "02-30"})), 422, "invalid-schedule", "rule.yearly"),
        (with("rule", json!({"once": "9999-12-31T00:00"})), 422, "invalid-time", "rule.once"),
        (with("rule", json!({"once": "2026-02-30T00:00"})), 422, "invalid-time", "rule.once"),
        (
            json!({"type": "a", "rule": {"cron": "0 9 * * *"}, "zone": "UTC", "at": "25:00"}),
            422,
            "invalid-time",
            "at",
        ),
        (
            json!({"type": "a", "rule": {"cron": "0 9 * * *"}, "zone": "UTC", "at": "10:00"}),
            400,
            "invalid-parameter",
            "at",
        ),
        (
            json!({"type": "a", "rule": {"cron": "0 9 * * *"}, "zone": "Mars/Olympus"}),
            422,
            "unknown-zone",
            "zone",
        ),
        (json!({"type": "a", "subject": "nobody", "follows": "birthday"}), 404, "not-found", "subject"),
        (json!({"rule": {"cron": "0 9 * * *"}}), 400, "invalid-parameter", "type"),
    ] {
        let problem = server.post("/schedules", body.to_string()).await.refused(status, code);
        assert_eq!(problem["field"], field, "{problem:#}");
    }
    server.post("/schedules/nothing/pause", "").await.refused(404, "not-found");
}
