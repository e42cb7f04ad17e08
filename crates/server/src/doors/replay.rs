//! `/api/v1/policy/diff`: recorded questions asked again under another policy directory, to see what it would change.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json as Body;
use axum::extract::State;
use countersign_ground::clock::Time;
use countersign_ground::problem::Problem;
use countersign_ground::record::{Cursor, Filter};
use countersign_ground::text::Text;
use countersign_policy::{
    Decision, Effect, Form, Holder, Json as Asked, OWN, Policies, Policy, Question, Verdict, authz,
};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::check::Turns;
use super::extract::Json;
use super::fields;
use super::openapi::ProblemBody;
use crate::app::App;
use crate::features::documents::parsed;
use crate::features::policy::PolicyDirectory;
use crate::law::action::{ReadDecisions, ReloadPackages};
use crate::law::caller::Caller;
use crate::law::check::Known;
use crate::law::{besides, told};

/// Events of one answer.
const CHUNK: usize = 500;

/// A policy directory to compare with the one in force.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "describes a body to readers of the API")]
pub struct Candidate {
    /// The texts of its files, by their paths within it.
    #[schema(value_type = Object)]
    files: BTreeMap<String, String>,
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

/// Ask recorded questions again under another policy directory, a page of the record at a time, and list every decision whose
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
    let texts = fields.required("files", texts).unwrap_or_default();
    let since = fields.required("since", fields::since(at));
    let cursor = fields.optional("cursor", fields::parsed::<Cursor>);
    fields.finish()?;
    let now = app.law.policies_for(&caller);
    let (directory, _) = parsed::<PolicyDirectory>(large(&texts)?).await?;
    let would = Policies {
        packages: Some(Arc::clone(&directory.packages)),
        authz: directory.authz.clone(),
        ..Policies::clone(&now)
    };
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
            // At our own doors it is not only a policy that decides.
            let gateway = told["request"]["path"].is_string();
            if told["question"]["resource"]["system"] == OWN && !gateway {
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
    /// What the policy directory has against an agent's request behind a gateway.
    fn besides(
        &self,
        policies: &Policies,
        told: &Value,
        question: &Question<'_>,
        known: &Known,
        at: i64,
    ) -> Option<(Verdict, Policy)> {
        let Holder::Scopes(scopes) = known.holder() else { return None };
        let request = &told["request"];
        let asked = authz::Asked {
            method: request["method"].as_str()?,
            path: request["path"].as_str()?,
            scopes,
            agent: Some(question.subject.id),
            roles: &[],
            tenant: self.tenant,
        };
        besides::denies(policies, &asked, at)
    }

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
        let answer = |policies: &Policies| {
            let decision = policies.decide(&question, known.holder(), at);
            self.besides(policies, told, &question, &known, at)
                .filter(|_| decision.effect() == Effect::Allow)
                .map_or_else(
                    || Answered::of(&decision),
                    |(verdict, policy)| Answered::by(&verdict, &policy),
                )
        };
        let (now, would) = (answer(self.now), answer(self.would));
        let same = |one: &Answered, other: &Answered| {
            (&one.effect, &one.reason) == (&other.effect, &other.reason)
        };
        // What other things have changed is not these rules' doing.
        if same(&was, &would) || same(&now, &would) {
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
            now,
            would,
        })
    }
}

impl Answered {
    fn of(decision: &Decision) -> Self {
        Self::by(&decision.verdict, &decision.policy)
    }

    fn by(verdict: &Verdict, policy: &Policy) -> Self {
        Self {
            effect: verdict.effect.as_str().to_owned(),
            reason: verdict.reason.to_string(),
            policy_package: policy.package.to_string(),
            policy_version: policy.version.to_string(),
        }
    }
}
