//! Decisions in process: how many a second one core makes, by few roles and by many, by the package for SSH
//! certificates, and by a package in Rego.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use countersign_policy::{Form, Holder, Json, Matrix, Packages, Policies, Question, Registry};
use serde_json::{Value, json};

use crate::Error;

const SPAN: Duration = Duration::from_millis(200);
const ROUNDS: usize = 15;

/// Prints decisions a second as JSON: with the built-in matrix, with 10 and 1 000 roles, and, their ids included,
/// about certificates and by rules in Rego.
pub(crate) fn run() -> Result<(), Error> {
    let (ten, thousand) = (Matrix::parse(&file(10))?, Matrix::parse(&file(1_000))?);
    let built_in = Matrix::built_in();
    let (mut few, mut many, mut own) = (Vec::new(), Vec::new(), Vec::new());
    let (mut ssh, mut rego) = (Vec::new(), Vec::new());
    let (certificates, rules) = (Asked::of_certificates()?, Asked::by_rules()?);
    // In turn, so that all meet the same noise.
    for _ in 0..ROUNDS {
        few.push(rate(&ten, "role9", "resource9"));
        many.push(rate(&thousand, "role999", "resource999"));
        own.push(rate(&built_in, "approver", "policy"));
        ssh.push(certificates.rate()?);
        rego.push(rules.rate()?);
    }
    let figures = json!({
        "ten_roles": median(few), "thousand_roles": median(many), "built_in": median(own),
        "ssh": median(ssh), "rego": median(rego),
    });
    println!("{figures}");
    Ok(())
}

/// A matrix in which each role holds ten actions on ten resources, and the last one few.
fn file(roles: usize) -> String {
    let mut matrix = serde_json::Map::new();
    for role in 0..roles {
        let actions: Vec<String> = (0..10).map(|action| format!("action{action}")).collect();
        let resources = (0..10).map(|i| (format!("resource{}", role.saturating_sub(i)), &actions));
        let held: serde_json::Map<String, Value> =
            resources.map(|(name, actions)| (name, json!(actions))).collect();
        matrix.insert(format!("role{role}"), held.into());
    }
    matrix["role0"]["operators"] = json!(["write"]);
    matrix["role0"]["rbac"] = json!(["reload"]);
    let roles: Vec<String> = (0..roles).map(|role| format!("role{role}")).collect();
    json!({"roles": roles, "matrix": matrix}).to_string()
}

/// An allow, a denial and an unknown permission in turn.
fn rate(matrix: &Matrix, role: &str, resource: &str) -> f64 {
    #[expect(clippy::disallowed_methods, reason = "it measures")]
    let start = std::time::Instant::now();
    let mut decisions = 0_u64;
    while start.elapsed() < SPAN {
        for _ in 0..1_000 {
            for action in ["action7", "approve", "none"] {
                let roles = black_box([role]);
                drop(black_box(matrix.decide(roles, black_box(resource), black_box(action))));
            }
        }
        decisions += 3_000;
    }
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    let rate = decisions as f64 / start.elapsed().as_secs_f64();
    rate
}

/// Rules of several kinds, of which the last one applies.
const RULES: &str = r#"# METADATA
# custom: {id: bench.documents, version: v1, systems: [docs]}
package bench.documents

decision := {"effect": "allow", "reason": "owner"} if {
	input.action.name == "read"
	input.resource.properties.owner == input.subject.id
} else := {"effect": "allow", "reason": "listed"} if {
	some role in data.registry.subject.roles
	role == "editor"
	startswith(input.resource.id, "draft-")
} else := {"effect": "requires_approval", "reason": "member", "approval_level": 2,
	"obligations": [{"type": "docs.watermark", "parameters": {"text": sprintf("for %s", [input.subject.id])}}]} if {
	input.subject.properties.team in ["red", "green", "blue"]
	every tag in input.resource.properties.tags { not startswith(tag, "secret") }
} else := {"effect": "deny", "reason": "no_rule"}
"#;

/// Policies, and a question.
struct Asked {
    policies: Policies,
    question: Value,
}

impl Asked {
    /// A question that a package in Rego answers.
    fn by_rules() -> Result<Self, Error> {
        let files = BTreeMap::from([("documents.rego".to_owned(), RULES.to_owned())]);
        let question = json!({
            "subject": {"id": "ada", "type": "user", "properties": {"team": "blue"}}, "action": "write",
            "resource": {"id": "doc-1", "type": "document", "system": "docs",
                "properties": {"owner": "bob", "tags": ["one", "two", "three"]}},
            "context": {"address": "192.0.2.1"},
        });
        let packages = Some(Arc::new(Packages::read(&files)?));
        let policies = Policies {
            matrix: Arc::new(Matrix::built_in()),
            registry: None,
            packages,
            routes: None,
            authz: None,
        };
        Ok(Self { policies, question })
    }

    /// A question about one of a thousand actors.
    fn of_certificates() -> Result<Self, Error> {
        let names: Vec<String> = (0..1_000).map(|n| format!("agt-bench-{n}")).collect();
        let resources: Vec<Value> = names
            .iter()
            .map(|name| {
                json!({"id": format!("ssh-cert:actor/{name}"), "type": "ssh-certificate", "attributes": {
                    "actor_type": "agt", "allowed_principals": ["p"], "max_ttl_hours": 24,
                    "allowed_subjects": [name, format!("iam:{name}")],
                }})
            })
            .collect();
        let snapshot = json!({
            "version": "1", "tenant": "t", "teams": [], "tenants": [], "relationships": [], "groups": [],
            "subjects": names.iter().map(|name| json!({"id": name, "type": "agt"})).collect::<Vec<_>>(),
            "systems": [{"id": "ops-warden"}],
            "resource_manifests": [{"id": "m", "system": "ops-warden", "actions": ["sign"], "resources": resources}],
        });
        let registry = Some(Arc::new(Registry::parse(&snapshot.to_string())?));
        let question = json!({
            "subject": {"id": "agt-bench-7", "type": "agt", "tenant": "t"}, "tenant": "t", "action": "sign",
            "resource": {"id": "ssh-cert:actor/agt-bench-7", "type": "ssh-certificate", "system": "ops-warden"},
            "context": {"actor_type": "agt", "principals": ["p"], "ttl_hours": 8, "pubkey_fingerprint": "SHA256:x"},
        });
        Ok(Self {
            policies: Policies {
                matrix: Arc::new(Matrix::built_in()),
                registry,
                packages: None,
                routes: None,
                authz: None,
            },
            question,
        })
    }

    fn rate(&self) -> Result<f64, Error> {
        let question = Json::from(&self.question);
        let question = Question::read(&question, Form::Check).map_err(|fault| fault.to_string())?;
        #[expect(clippy::disallowed_methods, reason = "it measures")]
        let start = std::time::Instant::now();
        let mut decisions = 0_u64;
        while start.elapsed() < SPAN {
            for _ in 0..1_000 {
                drop(black_box(self.policies.decide(black_box(&question), Holder::Stranger, 0)));
            }
            decisions += 1_000;
        }
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let rate = decisions as f64 / start.elapsed().as_secs_f64();
        Ok(rate)
    }
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2].round()
}
