//! `/api/v1/policy/diff`: recorded questions asked again under other packages, to see what these would change.

use std::collections::BTreeMap;

use axum::Json as Body;
use axum::extract::State;
use countersign_ground::clock::Time;
use countersign_ground::problem::Problem;
use countersign_ground::record::{Cursor, Filter};
use countersign_ground::text::Text;
use countersign_policy::{Decision, Form, Json as Asked, OWN, Packages, Policies, Question};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::check::Turns;
use super::extract::Json;
use super::fields;
use super::openapi::ProblemBody;
use crate::app::App;
use crate::features::documents::parsed;
use crate::law::action::{ReadDecisions, ReloadPackages};
use crate::law::caller::Caller;
use crate::law::told;

/// Events of one answer.
const CHUNK: usize = 500;

/// Packages to compare with those in force.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "describes a body to readers of the API")]
pub struct Candidate {
    /// Texts by the names of their files in `packages`.
    #[schema(value_type = Object)]
    packages: BTreeMap<String, String>,
    /// From this time, or so long ago: `24h`.
    since: String,
    /// `next_cursor` of the answer before.
    cursor: Option<String>,
}

/// What would change.
#[derive(Debug, Serialize, ToSchema)]
pub struct Replayed {
    /// How many recorded decisions were asked again for this answer.
    examined: usize,
    /// Those that would be others, newest first.
    changed: Vec<Changed>,
    /// Where to go on; null at the end.
    next_cursor: Option<String>,
}

/// A recorded decision that would be another.
#[derive(Debug, Serialize, ToSchema)]
pub struct Changed {
    /// Of the recorded one.
    id: String,
    decided_at: String,
    /// `TYPE/ID`.
    subject: String,
    action: String,
    /// `TYPE/ID`.
    resource: String,
    /// As it is recorded.
    was: Answered,
    /// As it would be under the packages in force: where that is no longer what it was, other things have changed.
    now: Answered,
    /// As it would be under these packages.
    would: Answered,
}

/// The parts of a decision that count.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Answered {
    effect: String,
    reason: String,
    policy_package: String,
    policy_version: String,
}

/// Ask recorded questions again under other packages, a page of the record at a time, and list every decision whose
/// effect or reason would be another. Registry, matrix, routes, scopes and roles are as they are now; time is that of
/// the recorded decision. Nothing of it is recorded or comes into force.
#[utoipa::path(post, path = "/api/v1/policy/diff", tag = "policy", request_body = Candidate,
    responses((status = 200, body = Replayed), (status = 400, body = ProblemBody),
        (status = 401, body = ProblemBody), (status = 403, body = ProblemBody)))]
pub async fn diff(
    State(app): State<App>,
    caller: Caller,
    Json(mut fields): Json,
) -> Result<Body<Replayed>, Problem> {
    let permit = app.law.permit::<ReadDecisions>(&caller, "*").await?;
    // Rules of others run here, each within its bounds.
    app.law.permit::<ReloadPackages>(&caller, "*").await?;
    let at = app.clock.now();
    let texts = fields.required("packages", texts).unwrap_or_default();
    let since = fields.required("since", fields::since(at));
    let cursor = fields.optional("cursor", fields::parsed::<Cursor>);
    fields.finish()?;
    let now = app.law.policies_for(&caller);
    let (packages, _) = parsed::<Packages>(large(&texts)?).await?;
    let would = Policies { packages: Some(packages), ..Policies::clone(&now) };
    let replay = Replay { app: &app, tenant: &caller.tenant, now: &now, would: &would };

    let filter = Filter {
        action: Some("decision.made".into()),
        since,
        cursor,
        limit: CHUNK,
        ..Filter::all(permit.tenant())
    };
    let found = app.record.search(&filter).await?;
    let (mut turns, mut examined, mut changed) = (Turns::begin(), 0, Vec::new());
    for body in &found.bodies {
        let Ok(event) = serde_json::from_str::<Value>(body) else { continue };
        for told in told::decisions(&event) {
            // About what is ours packages say nothing.
            if told["question"]["resource"]["system"] == OWN {
                continue;
            }
            turns.give().await;
            examined += 1;
            changed.extend(replay.changed(&event, &told));
        }
    }
    Ok(Body(Replayed { examined, changed, next_cursor: found.next.map(|next| next.to_string()) }))
}

/// The texts as a directory of packages is read.
fn texts(value: Value) -> Result<String, String> {
    let texts: BTreeMap<String, String> =
        serde_json::from_value(value).map_err(|_| "must be an object of texts".to_owned())?;
    serde_json::to_string(&texts).map_err(|error| error.to_string())
}

fn large(text: &str) -> Result<Text, Problem> {
    let copied = || {
        let mut large = Text::with_capacity(text.len())?;
        large.push(text.as_bytes()).map(|()| large)
    };
    copied().map_err(|_: std::io::Error| Problem::internal("no room for packages"))
}

/// What recorded questions are asked of.
struct Replay<'r> {
    app: &'r App,
    tenant: &'r str,
    now: &'r Policies,
    would: &'r Policies,
}

impl Replay<'_> {
    /// What a recorded decision would be, if that is another one.
    fn changed(&self, event: &Value, told: &Value) -> Option<Changed> {
        let text = |of: &Value, name: &str| Some(of[name].as_str()?.to_owned());
        let decided_at = text(event, "timestamp")?;
        let at = decided_at.parse::<Time>().ok()?.0;
        let asked = Asked::from(&told["question"]);
        let question = Question::read(&asked, Form::Canonical).ok()?;
        let known = self.app.law.known(&question.subject, self.tenant);
        let was = Answered {
            effect: text(told, "effect")?,
            reason: text(told, "reason")?,
            policy_package: text(told, "policyPackage")?,
            policy_version: text(told, "policyVersion")?,
        };
        let would = Answered::of(&self.would.decide(&question, known.holder(), at));
        if (&was.effect, &was.reason) == (&would.effect, &would.reason) {
            return None;
        }
        let (subject, resource) = (question.subject, question.resource);
        Some(Changed {
            id: text(told, "decisionId")?,
            decided_at,
            subject: format!("{}/{}", subject.kind, subject.id),
            action: question.action.name.to_owned(),
            resource: format!("{}/{}", resource.kind, resource.id),
            was,
            now: Answered::of(&self.now.decide(&question, known.holder(), at)),
            would,
        })
    }
}

impl Answered {
    fn of(decision: &Decision) -> Self {
        Self {
            effect: decision.effect().as_str().to_owned(),
            reason: decision.reason().to_string(),
            policy_package: decision.policy.package.to_string(),
            policy_version: decision.policy.version.to_string(),
        }
    }
}
