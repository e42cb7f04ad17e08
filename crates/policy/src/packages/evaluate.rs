//! One evaluation: the question goes in, the rule `decision` comes out and is held to its form. Whatever
//! fails denies, and says where.

use std::num::{NonZeroU32, NonZeroU64};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use regorus::rvm::RegoVM;
use regorus::rvm::vm::VmError;
use regorus::utils::limits::ExecutionTimerConfig;
use regorus::value::Object as RegoObject;
use regorus::{MemoryBudgetConfig, Value};
use serde_json::Value as Json;

use super::Package;
use super::functions::size;
use crate::decision::{Effect, Obligation, Reason, Verdict};
use crate::question::{Object, Question};
use crate::registry::Registry;

/// The most that one evaluation may take: instructions, which are the same everywhere, and, where these are slow,
/// time and memory.
const INSTRUCTIONS: usize = 1_000_000;
const TIME: Duration = Duration::from_millis(100);
const MEMORY: NonZeroU64 = NonZeroU64::new(16 << 20).unwrap();
const BETWEEN_LOOKS: NonZeroU32 = NonZeroU32::new(8).unwrap();
/// The largest decision, as [`size`] measures it.
const LARGEST: u64 = 64 << 10;
/// The longest reason.
const REASON: usize = 64;

impl Package {
    /// Decides; `at` is the time of the decision, in microseconds since the epoch.
    pub(crate) fn decide(
        &self,
        question: &Question<'_>,
        registry: Option<&Registry>,
        at: i64,
    ) -> Verdict {
        // A panic of the evaluator is a failure like any other: nothing of it is used again.
        let found = catch_unwind(AssertUnwindSafe(|| self.run(question, registry, at)));
        match found.unwrap_or_else(|_| Err("the evaluator failed".to_owned())) {
            Ok(verdict) => verdict,
            Err(diagnostic) => Verdict::error(diagnostic).by(format!("{}/error", self.id)),
        }
    }

    fn run(
        &self,
        question: &Question<'_>,
        registry: Option<&Registry>,
        at: i64,
    ) -> Result<Verdict, String> {
        let stored = Stored::of(question, registry);
        let mut vm = RegoVM::new();
        vm.set_strict_builtin_errors(true);
        vm.set_max_instructions(INSTRUCTIONS);
        vm.set_execution_timer_config(Some(ExecutionTimerConfig {
            limit: TIME,
            check_interval: BETWEEN_LOOKS,
        }));
        vm.set_memory_budget_config(Some(MemoryBudgetConfig { limit: MEMORY }));
        vm.load_program(Arc::clone(&self.program));
        vm.set_context(Value::from(at.saturating_mul(1_000)));
        vm.set_input(input(question, &stored));
        vm.set_data(data(stored)).map_err(|error| error.to_string())?;
        let ran = self.functions.run(|| vm.execute());
        let value = ran.and_then(|ran| ran.map_err(|error| stopped(&error)));
        let value = value.map_err(|error| self.told(&vm, &error))?;
        self.answer(&value).map_err(|what| format!("{}: `decision` {what}", self.file))
    }

    /// An error of the evaluator, with the line that it happened in.
    fn told(&self, vm: &RegoVM, error: &str) -> String {
        let line = self.program.get_instruction_span(vm.get_pc()).map_or(0, |span| span.line);
        let error: String = error.chars().take(300).collect();
        if line == 0 {
            format!("{}: {error}", self.file)
        } else {
            format!("{}:{line}: {error}", self.file)
        }
    }

    /// Reads what the rule gave.
    fn answer(&self, value: &Value) -> Result<Verdict, String> {
        if *value == Value::Undefined {
            let mut verdict = Verdict::new(Err(Reason::NoMatchingRule));
            let what =
                format!("{}: `decision` has no value: no rule applies, or two disagree", self.file);
            verdict.diagnostics.push(what.into());
            return Ok(verdict);
        }
        if size(value, LARGEST) >= LARGEST {
            return Err("is too large".to_owned());
        }
        let json = serde_json::to_value(value).map_err(|error| format!("is no JSON: {error}"))?;
        let Json::Object(members) = json else { return Err("must be an object".to_owned()) };
        let mut verdict = Verdict::new(Err(Reason::Error));
        let (mut effect, mut reason) = (None, None);
        for (name, value) in members {
            match name.as_str() {
                "effect" => effect = Some(read_effect(&value)?),
                "reason" => reason = Some(read_reason(value)?),
                "obligations" => verdict.obligations = read_obligations(value)?,
                "approval_level" => verdict.approval_level = Some(read_level(&value)?),
                _ => {
                    return Err(format!(
                        "has a member `{}` that is not known",
                        name.escape_debug()
                    ));
                }
            }
        }
        verdict.effect = effect.ok_or("has no `effect`")?;
        let reason = reason.ok_or("has no `reason`")?;
        verdict.rule = Some(format!("{}/{reason}", self.id).into());
        verdict.reason = Reason::Stated(reason.into());
        Ok(verdict)
    }
}

fn stopped(error: &VmError) -> String {
    match error {
        VmError::InstructionLimitExceeded { .. }
        | VmError::TimeLimitExceeded { .. }
        | VmError::MemoryLimitExceeded { .. }
        | VmError::MemoryBudgetExceeded { .. } => format!(
            "stopped: it may take {INSTRUCTIONS} instructions, {} ms and {} MiB",
            TIME.as_millis(),
            MEMORY.get() >> 20
        ),
        other => other.to_string(),
    }
}

fn read_effect(value: &Json) -> Result<Effect, String> {
    match value.as_str() {
        Some("allow") => Ok(Effect::Allow),
        Some("deny") => Ok(Effect::Deny),
        Some("requires_approval") => Ok(Effect::RequiresApproval),
        _ => Err("must have an `effect` of allow, deny or requires_approval".to_owned()),
    }
}

fn read_reason(value: Json) -> Result<String, String> {
    let word = |reason: &str| {
        let known = |byte: u8| byte.is_ascii_alphanumeric() || b"_-:.".contains(&byte);
        (1..=REASON).contains(&reason.len()) && reason.bytes().all(known)
    };
    match value {
        Json::String(reason) if word(&reason) => Ok(reason),
        _ => Err(format!(
            "must have a `reason`: one word of 1 to {REASON} letters, digits, `_`, `-`, `:` or `.`"
        )),
    }
}

fn read_obligations(value: Json) -> Result<Vec<Obligation>, String> {
    let wrong = || "must have `obligations` that are a list of {type, parameters}".to_owned();
    let Json::Array(listed) = value else { return Err(wrong()) };
    let read = |one: Json| {
        let Json::Object(mut members) = one else { return Err(wrong()) };
        let (name, parameters) = (members.remove("type"), members.remove("parameters"));
        let Some(Json::String(name)) = name.filter(|_| members.is_empty()) else {
            return Err(wrong());
        };
        let parameters = parameters.unwrap_or_else(|| Json::Object(Object::new()));
        Ok(Obligation { r#type: name.into(), parameters })
    };
    listed.into_iter().map(read).collect()
}

fn read_level(value: &Json) -> Result<u8, String> {
    let level = value.as_u64().and_then(|level| u8::try_from(level).ok());
    level
        .filter(|level| (1..=5).contains(level))
        .ok_or_else(|| "must have an `approval_level` of 1 to 5".to_owned())
}

/// What the registry says of subject and resource, if it knows them.
#[derive(Default)]
struct Stored {
    subject: Option<(Object, Vec<Value>)>,
    resource: Option<Object>,
}

impl Stored {
    fn of(question: &Question<'_>, registry: Option<&Registry>) -> Self {
        let Some(registry) = registry.filter(|registry| registry.is_of(question)) else {
            return Self::default();
        };
        let subject = registry.subject(question.subject.kind, question.subject.id);
        let resource = registry.resource(question.resource.kind, question.resource.id);
        Self {
            subject: subject.map(|it| (it.properties(), it.roles().map(Value::from).collect())),
            resource: resource.map(|it| it.attributes()),
        }
    }
}

/// The names of members, made once.
struct Names {
    name: Value,
    properties: Value,
    kind: Value,
    id: Value,
    system: Value,
    tenant: Value,
    subject: Value,
    action: Value,
    resource: Value,
    context: Value,
    registry: Value,
    roles: Value,
}

static NAMES: LazyLock<Names> = LazyLock::new(|| Names {
    name: "name".into(),
    properties: "properties".into(),
    kind: "type".into(),
    id: "id".into(),
    system: "system".into(),
    tenant: "tenant".into(),
    subject: "subject".into(),
    action: "action".into(),
    resource: "resource".into(),
    context: "context".into(),
    registry: "registry".into(),
    roles: "roles".into(),
});

/// The question as rules see it: the canonical one, with what the registry knows where the question says nothing.
fn input(question: &Question<'_>, stored: &Stored) -> Value {
    let names = &*NAMES;
    let (subject, action, resource) = (question.subject, question.action, question.resource);
    let known = stored.subject.as_ref().map(|(properties, _)| properties);
    object([
        (
            &names.subject,
            object([
                (&names.kind, subject.kind.into()),
                (&names.id, subject.id.into()),
                (&names.tenant, optional(subject.tenant)),
                (&names.properties, merged(subject.properties, known)),
            ]),
        ),
        (
            &names.action,
            object([
                (&names.name, action.name.into()),
                (&names.properties, merged(action.properties, None)),
            ]),
        ),
        (
            &names.resource,
            object([
                (&names.kind, resource.kind.into()),
                (&names.id, resource.id.into()),
                (&names.system, optional(resource.system)),
                (&names.properties, merged(resource.properties, stored.resource.as_ref())),
            ]),
        ),
        (&names.context, members(question.context.iter().filter(|(name, _)| *name != "approval"))),
        (&names.tenant, optional(question.asked_in())),
    ])
}

/// `data.registry`: subject and resource as they are registered, absent where they are not.
fn data(stored: Stored) -> Value {
    let names = &*NAMES;
    let subject = stored.subject.map(|(properties, roles)| {
        let known = [(&names.properties, merged(&properties, None)), (&names.roles, roles.into())];
        (&names.subject, object(known))
    });
    let resource = stored.resource.map(|properties| {
        (&names.resource, object([(&names.properties, merged(&properties, None))]))
    });
    object([(&names.registry, object(subject.into_iter().chain(resource)))])
}

fn object<'n>(members: impl IntoIterator<Item = (&'n Value, Value)>) -> Value {
    members.into_iter().map(|(name, value)| (name.clone(), value)).collect::<RegoObject>().into()
}

fn members<'m>(members: impl Iterator<Item = (&'m String, &'m Json)>) -> Value {
    members
        .map(|(name, value)| (name.as_str().into(), value.clone().into()))
        .collect::<RegoObject>()
        .into()
}

fn merged(said: &Object, stored: Option<&Object>) -> Value {
    let unsaid = stored.into_iter().flatten().filter(|(name, _)| !said.contains_key(*name));
    members(said.iter().chain(unsaid))
}

fn optional(text: Option<&str>) -> Value {
    text.map_or(Value::Null, Value::from)
}
