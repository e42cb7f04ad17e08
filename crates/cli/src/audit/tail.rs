//! `countersign audit tail`: the newest events, and those that come after.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use serde_json::Value;

use super::page::{Filter, newest, newest_until};
use crate::client::Client;
use crate::output::{self, Output, plain};

const SHOWN_AT_FIRST: usize = 20;
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);
/// Nodes record side by side, so an event may turn up among ones already shown: so far back is looked.
const WINDOW: usize = 100;

pub(super) async fn run(follow: bool, client: &Client, output: Output) -> anyhow::Result<()> {
    let mut shown = Shown::default();
    let window = if follow { WINDOW } else { SHOWN_AT_FIRST };
    let first = shown.fresh(newest(client, &Filter::default(), window).await?.data);
    print(&first[first.len().saturating_sub(SHOWN_AT_FIRST)..], output)?;

    if !follow {
        return Ok(());
    }
    loop {
        tokio::time::sleep(BETWEEN_LOOKS).await;
        let enough = |events: &[Value]| shown.reached_by(events);
        let page = newest_until(client, &Filter::default(), WINDOW, enough).await?;
        print(&shown.fresh(page.data), output)?;
    }
}

fn print(events: &[Value], output: Output) -> anyhow::Result<()> {
    for event in events {
        output::line(&match output {
            Output::Json => output::json(&event.to_string()),
            Output::Table => for_people(event),
        })?;
    }
    Ok(())
}

/// Aligned for the usual lengths: a line cannot wait for the longest one.
fn for_people(event: &Value) -> String {
    let member = |name: &str| plain(event[name].as_str().unwrap_or("-"));
    format!(
        "{}  {:<24}  {:<10}  {}  {}",
        member("timestamp"),
        member("action"),
        member("outcome"),
        member("eventId"),
        member("actorId")
    )
}

/// The events that were shown, as far back as one may be met again.
#[derive(Default)]
struct Shown {
    ids: HashSet<String>,
    order: VecDeque<String>,
    /// The oldest event of the first look. What is older was passed over on purpose.
    floor: Option<String>,
}

impl Shown {
    const REMEMBERED: usize = 100 * WINDOW;

    /// Of `newest`, which are newest first, those not shown yet, oldest first. They count as shown.
    fn fresh(&mut self, newest: Vec<Value>) -> Vec<Value> {
        let fresh: Vec<Value> =
            newest.into_iter().rev().filter(|event| self.add(id(event))).collect();
        self.forget_oldest();
        fresh
    }

    /// Whether `events` go back to one that was shown, so that no event lies between unread.
    fn reached_by(&self, events: &[Value]) -> bool {
        events.iter().any(|event| self.ids.contains(id(event)) || self.is_below_floor(id(event)))
    }

    fn add(&mut self, id: &str) -> bool {
        if self.is_below_floor(id) || !self.ids.insert(id.to_owned()) {
            return false;
        }
        self.floor.get_or_insert_with(|| id.to_owned());
        self.order.push_back(id.to_owned());
        true
    }

    /// Event ids are UUIDv7, so their order is that of time (RFC 9562 section 5.7).
    fn is_below_floor(&self, id: &str) -> bool {
        self.floor.as_deref().is_some_and(|floor| id < floor)
    }

    fn forget_oldest(&mut self) {
        while self.order.len() > Self::REMEMBERED {
            if let Some(id) = self.order.pop_front() {
                self.ids.remove(&id);
            }
        }
    }
}

fn id(event: &Value) -> &str {
    event["eventId"].as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn look(shown: &mut Shown, newest: &[&str]) -> Vec<String> {
        let events = newest.iter().map(|id| json!({"eventId": id})).collect();
        shown.fresh(events).iter().map(|event| id(event).to_owned()).collect()
    }

    #[test]
    fn each_event_is_shown_once_and_in_order() {
        let mut shown = Shown::default();
        assert_eq!(look(&mut shown, &["e3", "e2"]), ["e2", "e3"]);
        assert_eq!(look(&mut shown, &["e3", "e2"]), [""; 0]);
        assert_eq!(look(&mut shown, &["e6", "e5", "e3", "e2"]), ["e5", "e6"]);
    }

    #[test]
    fn a_late_event_is_shown_and_an_older_one_is_not() {
        let mut shown = Shown::default();
        look(&mut shown, &["e5", "e3"]);
        assert_eq!(look(&mut shown, &["e5", "e4", "e3", "e1"]), ["e4"]);
    }

    #[test]
    fn a_burst_longer_than_a_page_is_read_to_its_beginning() {
        let mut shown = Shown::default();
        look(&mut shown, &["e2"]);
        assert!(!shown.reached_by(&[json!({"eventId": "e9"}), json!({"eventId": "e8"})]));
        assert!(shown.reached_by(&[json!({"eventId": "e9"}), json!({"eventId": "e2"})]));
        assert!(shown.reached_by(&[json!({"eventId": "e9"}), json!({"eventId": "e1"})]));
    }
}
