//! `/v1/check` and `/v1/batch-check`: a decision for whoever enforces it.

use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use countersign_ground::clock::{Stopwatch, Time};
use countersign_ground::problem::{Code, Problem};
use countersign_ground::record::Appended;
use countersign_policy::{
    Answers, Decision, Fault, Form, Frame, Json, Parts, Question, Resource, write_text,
};
use http::HeaderValue;
use http::header::CONTENT_TYPE;

use super::extract::JsonText;
use super::openapi::ProblemBody;
use crate::app::App;
use crate::law::caller::Caller;

/// The most resources of one request.
const MOST: usize = 1_000;
/// A question stands in the record as it was asked: so long it may be, and all of a request together.
const LARGEST: usize = 32 << 10;
const LARGEST_TOGETHER: usize = 4 << 20;

/// May this subject do this to that? Every answer, a denial too, is 200 and stands in the record before it is given.
#[utoipa::path(post, path = "/v1/check", tag = "decisions",
    request_body(content = Object, description = "`subject{id,type,tenant?,properties?}`, `tenant?`, `action` (a word, or `{name,properties?}`), \
        `resource{id,type,system?,properties?}`, `context?`"),
    responses((status = 200, body = Object, description = "the decision"),
        (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody), (status = 503, body = ProblemBody)))]
pub async fn check(
    State(app): State<App>,
    caller: Caller,
    body: JsonText,
) -> Result<Response, Problem> {
    let (text, told) = one(&app, &caller, body).await?;
    told.durable().await?;
    Ok(json(text))
}

/// Decides. Neither the question nor the decision is there any more while the record is waited for.
async fn one(app: &App, caller: &Caller, body: JsonText) -> Result<(String, Told), Problem> {
    app.law.may_ask(caller).await?;
    let value = read(body.text()?)?;
    let question = Question::read(&value, Form::Check).map_err(invalid)?;
    app.law.may_ask_this(caller, &question).await?;
    let at = app.clock.now();
    let shown = at.to_string();
    let (mut answers, request) = (Answers::new(&shown, 1), caller.origin.request_id.as_deref());
    let each =
        |question: &Question<'_>, decision: &Decision| answers.add(question, decision, request);
    let told = decided(app, caller, &[question], at, each).await?;
    Ok((answers.text, told))
}

/// One subject, action and context, and many resources. The answers come in the resources' order.
#[utoipa::path(post, path = "/v1/batch-check", tag = "decisions",
    request_body(content = Object, description = "as for `/v1/check`, with `resources[]` in place of `resource`"),
    responses((status = 200, body = Object, description = "`{decisions[], request_id}`"),
        (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody), (status = 503, body = ProblemBody)))]
pub async fn batch(
    State(app): State<App>,
    caller: Caller,
    body: JsonText,
) -> Result<Response, Problem> {
    let (text, told) = several(&app, &caller, body).await?;
    told.durable().await?;
    Ok(json(text))
}

async fn several(app: &App, caller: &Caller, body: JsonText) -> Result<(String, Told), Problem> {
    app.law.may_ask(caller).await?;
    let value = read(body.text()?)?;
    let frame = Parts::read(&value, Form::Check, &["resources"]).map_err(invalid)?;
    let resources = match value.get("resources") {
        Some(Json::List(resources)) if (1..=MOST).contains(&resources.len()) => resources,
        _ => return Err(wrong("/resources", format!("must be a list of 1 to {MOST} resources"))),
    };
    if frame.resource.is_some() {
        return Err(wrong("/resource", "is not known beside `resources`"));
    }
    let questions = resources.iter().enumerate().map(|(i, resource)| {
        let placed = |fault: Fault| Fault { at: format!("/resources/{i}{}", fault.at), ..fault };
        let resource = Resource::read(resource, Form::Check).map_err(placed)?;
        Parts { resource: Some(resource), ..frame }.question()
    });
    let mut questions = questions.collect::<Result<Vec<_>, _>>().map_err(invalid)?;
    let frame = Frame::of(&questions[0]);
    questions.iter_mut().for_each(|question| question.frame = Some(&frame));
    app.law.may_ask_this(caller, &questions[0]).await?;
    let at = app.clock.now();
    let shown = at.to_string();
    let mut answers = Answers::new(&shown, questions.len());
    answers.text.push_str(r#"{"decisions":["#);
    let each = |question: &Question<'_>, decision: &Decision| {
        answers.text.push_str(if answers.text.ends_with('[') { "" } else { "," });
        answers.add(question, decision, None);
    };
    let told = decided(app, caller, &questions, at, each).await?;
    let mut text = answers.text;
    text.push(']');
    if let Some(request) = &caller.origin.request_id {
        text.push_str(r#","request_id":"#);
        write_text(&mut text, request);
    }
    text.push('}');
    Ok((text, told))
}

/// Decisions that were appended to the record: until they are durable nobody may see them.
#[must_use]
pub(super) struct Told(Vec<Appended>);

impl Told {
    /// Of none.
    pub(super) fn nothing() -> Self {
        Self(Vec::new())
    }

    /// Returns once all are durable.
    pub(super) async fn durable(self) -> Result<(), Problem> {
        for appended in self.0 {
            appended.await?;
        }
        Ok(())
    }
}

/// Decides, all under the same policies, and shows each decision.
pub(super) async fn decided(
    app: &App,
    caller: &Caller,
    questions: &[Question<'_>],
    at: Time,
    mut show: impl FnMut(&Question<'_>, &Decision),
) -> Result<Told, Problem> {
    if let Some(subject) = questions.first().map(|question| question.subject)
        && subject.kind == "agent"
        && let Ok(id) = subject.id.parse()
    {
        // Another node may have registered it.
        app.agent(id).await?;
    }
    let policies = app.law.policies_for(caller);
    let (mut turns, mut counting) = (Turns::begin(), app.metrics.answering());
    let mut telling = app.law.telling(caller, at);
    let mut size = 0;
    for question in questions {
        turns.give().await;
        let decision = app.law.answer(&policies, caller, question, at);
        size += decision.question().len();
        fits(decision.question().len())?;
        fit_together(size)?;
        counting.count(&decision);
        show(question, &decision);
        telling.add(*question, decision);
    }
    // All are appended before the first is waited for.
    Ok(Told(telling.end().into_iter().map(|event| app.record.append(event)).collect()))
}

/// Others' turns while many questions are decided, some by rules that take long.
pub(super) struct Turns(Stopwatch);

/// How long others wait at most, or for as long as one decision takes.
const TURN: Duration = Duration::from_millis(1);

impl Turns {
    pub(super) fn begin() -> Self {
        Self(Stopwatch::start())
    }

    /// Between two decisions.
    pub(super) async fn give(&mut self) {
        if self.0.elapsed() > TURN {
            tokio::task::yield_now().await;
            *self = Self::begin();
        }
    }
}

/// Refuses what is too long for the record.
pub(super) fn fits(size: usize) -> Result<(), Problem> {
    if size <= LARGEST {
        return Ok(());
    }
    let what = format!("a question may be {LARGEST} bytes long in the record; this is {size}");
    Err(Problem::new(Code::PayloadTooLarge, what))
}

fn fit_together(size: usize) -> Result<(), Problem> {
    if size <= LARGEST_TOGETHER {
        return Ok(());
    }
    let what = format!("all questions of a request may be {LARGEST_TOGETHER} bytes long");
    Err(Problem::new(Code::PayloadTooLarge, what))
}

fn read(text: &str) -> Result<Json<'_>, Problem> {
    Json::read(text).map_err(|error| {
        Problem::new(Code::Validation, format!("the body is not a question: {error}"))
    })
}

pub(super) fn invalid(fault: Fault) -> Problem {
    Problem::fields([(fault.at, fault.what)])
}

fn wrong(at: &str, what: impl Into<String>) -> Problem {
    invalid(Fault { at: at.to_owned(), what: what.into() })
}

/// An answer that is JSON.
pub(super) fn json(text: String) -> Response {
    let mut response = Response::new(Body::from(text));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}
