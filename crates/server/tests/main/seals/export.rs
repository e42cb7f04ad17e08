//! Exported files, whole and otherwise.

use countersign_ground::record::verify::{self, InvalidExport, Kind, Report, Trust};
use serde_json::Value;

use super::{keys, sealed};
use crate::support::{As, TestApp};

async fn exported(app: &TestApp, query: &str) -> String {
    let answer = app.operator().get(&format!("/api/v1/audit/export{query}")).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.header("content-type"), "application/jsonl");
    answer.text
}

fn verified(text: &str) -> Result<Report, InvalidExport> {
    verify::export(text.as_bytes(), &Trust::default())
}

fn kinds(text: &str) -> Vec<Kind> {
    verified(text).unwrap().faults.iter().map(|fault| fault.kind).collect()
}

async fn record() -> (TestApp, Vec<String>) {
    let app = TestApp::start().await;
    sealed(&app, "a", 4).await;
    sealed(&app, "b", 5).await;
    let text = exported(&app, "").await;
    let lines = text.lines().map(|line| format!("{line}\n")).collect();
    (app, lines)
}

fn event_lines(lines: &[String]) -> Vec<usize> {
    (0..lines.len()).filter(|at| lines[*at].starts_with("{\"action\":\"agent.created\"")).collect()
}

#[tokio::test]
async fn an_export_is_verified_by_itself_and_by_keys_kept_elsewhere() {
    let (app, lines) = record().await;
    let text = lines.concat();
    let report = verified(&text).unwrap();
    assert!(report.is_good() && report.events == 10, "{report:?}");
    let trust = |keys| Trust { keys: Some(keys), ..Trust::default() };
    let by = |trust: &Trust| verify::export(text.as_bytes(), trust).unwrap();
    assert!(by(&trust(keys(&app).await)).is_good());
    let other = TestApp::start().await;
    sealed(&other, "x", 1).await;
    assert!(!by(&trust(keys(&other).await)).is_good());
}

#[tokio::test]
async fn every_line_that_was_changed_removed_inserted_or_moved_is_named() {
    let (_, lines) = record().await;
    let events = event_lines(&lines);
    let (first, second, last) = (events[0], events[1], events[8]);
    let end = Kind::Changed;

    let mut changed = lines.clone();
    changed[first] = changed[first].replace("a0@", "z0@");
    assert_eq!(kinds(&changed.concat()), [Kind::Changed, end]);

    let mut removed = lines.clone();
    removed.remove(last);
    assert_eq!(kinds(&removed.concat()), [Kind::Removed, end]);

    let mut inserted = lines.clone();
    inserted.insert(second, lines[first].replace("a0@", "y0@"));
    assert_eq!(kinds(&inserted.concat()), [Kind::Inserted, end]);

    let mut twice = lines.clone();
    twice.insert(second, lines[first].clone());
    assert_eq!(kinds(&twice.concat()), [Kind::Reordered, end]);

    let mut moved = lines.clone();
    moved.swap(first, second);
    let told = kinds(&moved.concat());
    assert!(told.contains(&Kind::Reordered) && told.contains(&end), "{told:?}");
}

#[tokio::test]
async fn an_export_that_was_cut_short_is_noticed_wherever_it_was_cut() {
    let (_, lines) = record().await;
    for kept in 1..lines.len() {
        let report = verified(&lines[..kept].concat()).unwrap();
        assert!(report.faults.iter().any(|one| one.kind == Kind::Truncated), "{kept}: {report:?}");
    }
    let mut text = lines.concat();
    text.truncate(text.len() / 2);
    assert!(verified(&text).is_err() || !verified(&text).unwrap().is_good());
    for wrong in ["", "\n", "{}\n", "[]\n", "nonsense", "{\"action\":\"x\"}\n"] {
        assert!(!verified(wrong).is_ok_and(|report| report.is_good()), "{wrong}");
    }
    let behind = lines.concat() + &lines[event_lines(&lines)[0]];
    assert!(verified(&behind).is_err());
}

#[tokio::test]
async fn what_hides_a_removed_event_in_the_file_breaks_its_signature() {
    let (_, lines) = record().await;
    let last = *event_lines(&lines).last().unwrap();
    let mut hidden = lines.clone();
    hidden.remove(last);
    for line in &mut hidden {
        let mut value: Value = serde_json::from_str(line).unwrap();
        if let Some(end) = value.get_mut("end") {
            end["events"] = 9.into();
            *line = format!("{value}\n");
        }
        if let Some(ranges) = value.get_mut("indexes").and_then(Value::as_array_mut) {
            let text = ranges.last().unwrap().as_str().unwrap();
            let (first, end) = text.split_once('-').unwrap();
            let end = end.parse::<i64>().unwrap() - 1;
            if line.contains("\"seal\":2,") || end >= 4 {
                let shorter = format!("{first}-{end}");
                *ranges.last_mut().unwrap() = shorter.into();
                *line = format!("{value}\n");
            }
        }
    }
    let report = verified(&hidden.concat()).unwrap();
    assert!(!report.is_good());
}

#[tokio::test]
async fn an_export_holds_what_was_asked_for_and_nothing_of_another_tenant() {
    let (app, _) = record().await;
    let other = app.tenant("other", "unlimited").await;
    app.server.seal().await.unwrap();
    let text = exported(&app, "?action=agent.created&startDate=2026-01-01").await;
    let report = verified(&text).unwrap();
    assert!(report.is_good() && report.events == 9, "{report:?}");
    assert!(verified(&exported(&app, "?startDate=2030-01-01").await).unwrap().events == 0);
    let answer = app.client(As::Bearer(&other)).get("/api/v1/audit/export").await;
    assert!(!answer.text.contains("\"tenant\":\"default\""), "{}", answer.text);
    let report = verified(&answer.text).unwrap();
    assert!(report.is_good() && report.events > 0, "{report:?}");
    app.nobody().get("/api/v1/audit/export").await.problem(401, "UNAUTHORIZED");
    let agent = app.agent("reader", &["agents:read"]).await;
    let token = app.token(&agent).await;
    let refused = app.client(As::Bearer(&token)).get("/api/v1/audit/export").await;
    refused.problem(403, "INSUFFICIENT_SCOPE");
    for wrong in ["?format=xml", "?agentId=x", "?unknown=1"] {
        let path = format!("/api/v1/audit/export{wrong}");
        app.operator().get(&path).await.problem(400, "VALIDATION_ERROR");
    }
}

#[tokio::test]
async fn a_csv_has_a_row_for_each_event() {
    let (app, _) = record().await;
    let answer = app.operator().get("/api/v1/audit/export?format=csv").await;
    assert_eq!(answer.header("content-type"), "text/csv; charset=utf-8");
    let mut rows = answer.text.lines();
    assert!(rows.next().unwrap().starts_with("seal,index,eventId,timestamp,action,outcome,"));
    assert_eq!(rows.count(), 10);
}
