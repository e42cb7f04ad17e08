//! What rules see: `input`, the question, and `data.registry`, what is known of its subject and resource.

use std::sync::LazyLock;

use regorus::Value;

use crate::json::Members;
use crate::question::Question;
use crate::registry::Registry;
use crate::rego::{members, object, optional};

/// What the registry says of subject and resource, if it knows them.
#[derive(Default)]
pub(super) struct Stored<'r> {
    subject: Option<(Members<'r>, Vec<Value>)>,
    resource: Option<Members<'r>>,
}

impl<'r> Stored<'r> {
    pub(super) fn of(question: &Question<'_>, registry: Option<&'r Registry>) -> Self {
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
pub(super) fn input(question: &Question<'_>, stored: &Stored<'_>) -> Value {
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
pub(super) fn data(stored: Stored<'_>) -> Value {
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

fn merged<'m>(said: &'m Members<'m>, stored: Option<&'m Members<'m>>) -> Value {
    let unsaid = stored.into_iter().flat_map(Members::iter);
    members(said.iter().chain(unsaid.filter(|(name, _)| said.get(name).is_none())))
}
