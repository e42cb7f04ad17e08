//! AuthZEN Authorization API 1.0: the same decisions in the words of a standard.
//!
//! What is malformed is 400; a denial is 200 (section 10.1.4 and 5.5). Unknown members are ignored.

mod search;

use std::slice;

use axum::Json as Body;
use axum::extract::{FromRequest, Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use countersign_ground::problem::{Code, Problem};
use countersign_policy::{
    Answers, Decision, Effect, Fault, Form, Json, Parts, Question, write_text,
};
use serde_json::json;

pub use search::{__path_actions, __path_resources, __path_subjects, actions, resources, subjects};

use super::check::{self, Told, Turns, decided, invalid};
use super::extract::{content_type, read};
use super::openapi::ProblemBody;
use crate::app::App;
use crate::law::caller::Caller;

/// The most items of one request.
const MOST: usize = 1_000;

/// The text of a request; whatever is wrong with it is 400.
pub struct Asked(Bytes);

impl FromRequest<App> for Asked {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &App) -> Result<Self, Problem> {
        let wrong = |what: String| Problem::new(Code::Validation, what);
        let kind = content_type(request.headers()).map(str::to_ascii_lowercase);
        if kind.as_deref() != Some("application/json") {
            return Err(wrong("the body must be `Content-Type: application/json`".into()));
        }
        read(request.into_body()).await.map(Self)
    }
}

impl Asked {
    fn json(&self) -> Result<Json<'_>, Problem> {
        let wrong = |what: String| Problem::new(Code::Validation, what);
        let text = str::from_utf8(&self.0).map_err(|_| wrong("the body is not UTF-8".into()))?;
        match Json::read(text) {
            Ok(object @ Json::Object(_)) => Ok(object),
            Ok(_) => Err(wrong("the body must be an object".into())),
            Err(error) => Err(wrong(format!("the body is not JSON: {error}"))),
        }
    }
}

/// Adds an answer, as the standard has it; `context` says what it is in our words.
fn tell(answers: &mut Answers<'_>, question: &Question<'_>, decision: &Decision) {
    let permitted = decision.effect() == Effect::Allow;
    answers.text.push_str(if permitted { r#"{"decision":true"# } else { r#"{"decision":false"# });
    answers.text.push_str(r#","context":"#);
    answers.add(question, decision, None);
    answers.text.push('}');
}

/// Adds what is wrong with one item of several.
fn tell_broken(out: &mut String, fault: &Fault) {
    out.push_str(r#"{"decision":false,"context":{"error":{"status":400,"message":"#);
    write_text(out, &fault.to_string());
    out.push_str("}}}");
}

/// Access Evaluation API: may this subject do this to that?
#[utoipa::path(post, path = "/access/v1/evaluation", tag = "authzen",
    request_body(content = Object, description = "`subject{type,id,properties?}`, `action{name,properties?}`, \
        `resource{type,id,properties?}`, `context?`"),
    responses((status = 200, body = Object, description = "`{decision, context}`"),
        (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody)))]
pub async fn evaluation(
    State(app): State<App>,
    caller: Caller,
    asked: Asked,
) -> Result<Response, Problem> {
    app.law.may_ask(&caller).await?;
    let (text, told) = evaluate_one(&app, &caller, &asked.json()?).await?;
    drop(asked);
    told.durable().await?;
    Ok(check::json(text))
}

async fn evaluate_one(
    app: &App,
    caller: &Caller,
    asked: &Json<'_>,
) -> Result<(String, Told), Problem> {
    let question = Question::read(asked, Form::AuthZen).map_err(invalid)?;
    app.law.may_ask_this(caller, &question).await?;
    let at = app.clock.now();
    let shown = at.to_string();
    let mut answers = Answers::new(&shown, 1);
    let each =
        |question: &Question<'_>, decision: &Decision| tell(&mut answers, question, decision);
    let told = decided(app, caller, &[question], at, each).await?;
    Ok((answers.text, told))
}

/// When to stop.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Semantic {
    ExecuteAll,
    DenyOnFirstDeny,
    PermitOnFirstPermit,
}

impl Semantic {
    fn read(asked: &Json<'_>) -> Result<Self, Problem> {
        match &asked["options"]["evaluations_semantic"] {
            Json::Null => Ok(Self::ExecuteAll),
            Json::Text(word) if word == "execute_all" => Ok(Self::ExecuteAll),
            Json::Text(word) if word == "deny_on_first_deny" => Ok(Self::DenyOnFirstDeny),
            Json::Text(word) if word == "permit_on_first_permit" => Ok(Self::PermitOnFirstPermit),
            _ => Err(invalid(Fault {
                at: "/options/evaluations_semantic".into(),
                what: "must be `execute_all`, `deny_on_first_deny` or `permit_on_first_permit`"
                    .into(),
            })),
        }
    }

    fn ends_with(self, permitted: bool) -> bool {
        match self {
            Self::ExecuteAll => false,
            Self::DenyOnFirstDeny => !permitted,
            Self::PermitOnFirstPermit => permitted,
        }
    }
}

/// Access Evaluations API: several questions at once. What stands beside `evaluations` holds for each that does not
/// say it itself; an item that is broken is false.
#[utoipa::path(post, path = "/access/v1/evaluations", tag = "authzen",
    request_body(content = Object, description = "`evaluations[]`, `options{evaluations_semantic}`, and defaults for \
        `subject`, `action`, `resource` and `context`"),
    responses((status = 200, body = Object, description = "`{evaluations[{decision, context}]}`"),
        (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody)))]
pub async fn evaluations(
    State(app): State<App>,
    caller: Caller,
    asked: Asked,
) -> Result<Response, Problem> {
    app.law.may_ask(&caller).await?;
    let (text, told) = evaluate_several(&app, &caller, &asked.json()?).await?;
    drop(asked);
    told.durable().await?;
    Ok(check::json(text))
}

async fn evaluate_several(
    app: &App,
    caller: &Caller,
    whole: &Json<'_>,
) -> Result<(String, Told), Problem> {
    let items = match &whole["evaluations"] {
        Json::List(items) if items.len() <= MOST => items,
        Json::Null => return evaluate_one(app, caller, whole).await,
        _ => {
            let what = format!("must be a list of at most {MOST}");
            return Err(invalid(Fault { at: "/evaluations".into(), what }));
        }
    };
    // Section 7.1: without items it is one evaluation.
    if items.is_empty() {
        return evaluate_one(app, caller, whole).await;
    }
    let semantic = Semantic::read(whole)?;
    let defaults = Parts::read(whole, Form::AuthZen, &[]).map_err(invalid)?;
    let read = |item| Parts::read(item, Form::AuthZen, &[])?.or(defaults).question();
    let questions: Vec<Result<Question<'_>, Fault>> = items.iter().map(read).collect();
    let sound: Vec<Question<'_>> = questions.iter().flatten().copied().collect();
    for question in &sound {
        app.law.may_ask_this(caller, question).await?;
    }
    // All are decided under the same policies; those behind the one that ended it were not asked.
    let asked = match semantic {
        Semantic::ExecuteAll => sound,
        _ => asked_until(app, caller, &questions, semantic).await?,
    };
    let at = app.clock.now();
    let shown = at.to_string();
    let mut telling = Items::new(&questions, semantic, &shown);
    let mut told = Told::nothing();
    if !asked.is_empty() {
        told =
            decided(app, caller, &asked, at, |question, it| telling.decided(question, it)).await?;
    }
    Ok((telling.end(), told))
}

/// The answers to several items, some of which may be broken.
struct Items<'a, 'q> {
    left: slice::Iter<'a, Result<Question<'q>, Fault>>,
    semantic: Semantic,
    ended: bool,
    answers: Answers<'a>,
}

impl<'a, 'q> Items<'a, 'q> {
    fn new(items: &'a [Result<Question<'q>, Fault>], semantic: Semantic, at: &'a str) -> Self {
        let mut answers = Answers::new(at, items.len());
        answers.text.push_str(r#"{"evaluations":["#);
        Self { left: items.iter(), semantic, ended: false, answers }
    }

    /// The next item that is not broken was decided.
    fn decided(&mut self, question: &Question<'_>, decision: &Decision) {
        self.broken();
        self.separate();
        tell(&mut self.answers, question, decision);
        self.ended |= self.semantic.ends_with(decision.effect() == Effect::Allow);
    }

    /// Tells of those before the next that is not broken, and takes that.
    fn broken(&mut self) {
        while !self.ended
            && let Some(Err(fault)) = self.left.next()
        {
            self.separate();
            tell_broken(&mut self.answers.text, fault);
            self.ended = self.semantic.ends_with(false);
        }
    }

    fn separate(&mut self) {
        self.answers.text.push_str(if self.answers.text.ends_with('[') { "" } else { "," });
    }

    fn end(mut self) -> String {
        self.broken();
        self.answers.text.push_str("]}");
        self.answers.text
    }
}

/// The questions up to the one that ends it.
async fn asked_until<'q>(
    app: &App,
    caller: &Caller,
    questions: &[Result<Question<'q>, Fault>],
    semantic: Semantic,
) -> Result<Vec<Question<'q>>, Problem> {
    let policies = app.law.policies_for(caller);
    let now = app.clock.now().0;
    let mut turns = Turns::begin();
    let mut asked = Vec::new();
    for question in questions {
        let Ok(question) = question else {
            if semantic.ends_with(false) {
                break;
            }
            continue;
        };
        asked.push(*question);
        turns.give().await;
        let known = app.law.known(&question.subject, &caller.tenant);
        let permitted = policies.decide(question, known.holder(), now).effect() == Effect::Allow;
        if semantic.ends_with(permitted) {
            break;
        }
    }
    Ok(asked)
}

/// Where the endpoints are (section 9).
#[utoipa::path(get, path = "/.well-known/authzen-configuration", tag = "authzen",
    responses((status = 200, body = Object)))]
pub async fn configuration(State(app): State<App>) -> Response {
    let issuer = app.law.issuer.trim_end_matches('/');
    let at = |path: &str| format!("{issuer}/access/v1/{path}");
    Body(json!({
        "policy_decision_point": issuer,
        "access_evaluation_endpoint": at("evaluation"),
        "access_evaluations_endpoint": at("evaluations"),
        "search_subject_endpoint": at("search/subject"),
        "search_resource_endpoint": at("search/resource"),
        "search_action_endpoint": at("search/action"),
    }))
    .into_response()
}
