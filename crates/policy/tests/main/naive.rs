//! A second evaluator, which searches lists and knows no shortcut, over random registries and matrices.

use std::sync::Arc;

use countersign_policy::{Form, Holder, Json, Matrix, Permissions, Policies, Question, Registry};
use proptest::prelude::RngExt as _;
use proptest::test_runner::{RngAlgorithm, TestRng};
use serde_json::{Value, json};

/// Questions for each registry and matrix.
const ASKED: usize = 2_000;
const WORLDS: usize = 500;

const SUBJECTS: [&str; 6] = ["s0", "s1", "s2", "s3", "s4", "nobody"];
const KINDS: [&str; 2] = ["user", "agent"];
const TYPES: [&str; 4] = ["page", "pin", "ssh-certificate", "unknown"];
const ACTIONS: [&str; 4] = ["read", "write", "sign", "drop"];
const SYSTEMS: [&str; 5] = ["wiki", "vault", "ops-warden", "elsewhere", "countersign"];
const ROLES: [&str; 3] = ["one", "two", "three"];

struct Dice(TestRng);

impl Dice {
    fn pick<'s>(&mut self, of: &[&'s str]) -> &'s str {
        of[self.0.random_range(0..of.len())]
    }

    fn some(&mut self, of: &[&str]) -> Vec<String> {
        of.iter().filter(|_| self.0.random_bool(0.4)).map(|one| (*one).to_owned()).collect()
    }

    fn chance(&mut self, share: f64) -> bool {
        self.0.random_bool(share)
    }

    fn matrix(&mut self) -> Value {
        let mut matrix = json!({"one": {"operators": ["write"], "rbac": ["reload"]}});
        for role in ROLES {
            for kind in ["page", "pin"] {
                if self.chance(0.6) {
                    matrix[role][kind] = json!(self.some(&ACTIONS));
                }
            }
        }
        for role in ROLES {
            if let Some(kinds) = matrix.get_mut(role).and_then(Value::as_object_mut) {
                kinds.retain(|_, actions| actions.as_array().is_some_and(|all| !all.is_empty()));
            }
        }
        matrix
            .as_object_mut()
            .unwrap()
            .retain(|_, kinds| kinds.as_object().is_some_and(|all| !all.is_empty()));
        json!({"roles": ROLES, "aliases": {"alias": "two"}, "matrix": matrix})
    }

    fn registry(&mut self) -> Value {
        let groups = ["g0", "g1"];
        let subjects: Vec<Value> = SUBJECTS[..5]
            .iter()
            .map(|id| {
                json!({
                    "id": id, "type": self.pick(&KINDS), "groups": self.some(&groups),
                    "roles": self.some(&["one", "two", "three", "alias", "no-role"]),
                })
            })
            .collect();
        let mut resources = Vec::new();
        let manifests: Vec<Value> = (0..3)
            .map(|m| {
                let mine: Vec<Value> = (0..3).map(|r| {
                    let id = format!("r{m}{r}");
                    resources.push(id.clone());
                    let mut attributes = json!({
                        "actor_type": self.pick(&["adm", "agt"]), "max_ttl_hours": self.0.random_range(1..4),
                        "allowed_principals": self.some(&["p", "q"]), "allowed_subjects": self.some(&SUBJECTS),
                    });
                    if self.chance(0.2) {
                        attributes["approval_level"] = self.0.random_range(1..6).into();
                    }
                    json!({"id": id, "type": self.pick(&TYPES), "attributes": attributes})
                }).collect();
                json!({
                    "id": format!("m{m}"), "system": SYSTEMS[m], "actions": ACTIONS, "resources": mine,
                    "relations": {"editor": self.some(&ACTIONS), "read": self.some(&ACTIONS)},
                })
            })
            .collect();
        let mut objects: Vec<String> = resources;
        objects.extend(
            ["m0", "m1", "m2", "wiki", "system:vault", "system:ops-warden"].map(String::from),
        );
        let objects: Vec<&str> = objects.iter().map(String::as_str).collect();
        let relationships: Vec<Value> = (0..self.0.random_range(0..12))
            .map(|_| json!({
                "subject": self.pick(&["s0", "s1", "s2", "s3", "s4", "g0", "g1", "t0"]),
                "relation": self.pick(&["editor", "read", "write", "owner"]), "object": self.pick(&objects),
            }))
            .collect();
        let mut systems: Vec<Value> = SYSTEMS[..3].iter().map(|id| json!({"id": id})).collect();
        if self.chance(0.2) {
            systems[0]["policy_package"] = "ops-warden.ssh-certificate.sign".into();
        }
        if self.chance(0.2) {
            systems[1]["policy_package"] = "not.there".into();
        }
        json!({
            "version": "1", "tenant": "acme", "systems": systems, "resource_manifests": manifests,
            "subjects": subjects, "tenants": [], "relationships": relationships,
            "groups": groups.map(|id| json!({"id": id, "members": self.some(&SUBJECTS[..5])})),
            "teams": [{"id": "t0", "members": self.some(&SUBJECTS[..5])}],
        })
    }

    fn question(&mut self) -> Value {
        let id = match self.0.random_range(0..10) {
            0 => "r99".to_owned(),
            1 => self.pick(&["m0", "wiki", "s0"]).to_owned(),
            n => format!("r{}{}", n % 3, self.0.random_range(0..3)),
        };
        let mut question = json!({
            "subject": {"type": self.pick(&KINDS), "id": self.pick(&SUBJECTS)},
            "action": self.pick(&ACTIONS), "resource": {"type": self.pick(&TYPES), "id": id},
        });
        if self.chance(0.5) {
            question["resource"]["system"] = self.pick(&SYSTEMS).into();
        }
        if self.chance(0.7) {
            question["tenant"] = self.pick(&["acme", "acme", "acme", "other"]).into();
        }
        if self.chance(0.3) {
            question["subject"]["tenant"] = self.pick(&["acme", "other"]).into();
        }
        if question["resource"]["type"] == "ssh-certificate" || self.chance(0.3) {
            let kind = self.pick(&["adm", "agt", "atm", "bot"]);
            question["subject"]["type"] = if self.chance(0.8) { kind } else { "user" }.into();
            question["context"] = json!({
                "actor_type": kind, "ttl_hours": self.0.random_range(0..5), "pubkey_fingerprint": self.pick(&["", "x", "x", "x"]),
                "principals": self.some(&["p", "q"]),
            });
            if self.chance(0.8) {
                question["action"] = "sign".into();
                question["resource"]["system"] = "ops-warden".into();
                question["resource"]["type"] = "ssh-certificate".into();
            }
        }
        question
    }
}

/// What the subject is known to hold.
enum Held {
    Nothing,
    Roles(Vec<String>),
    Scopes(Vec<String>),
    Stopped,
}

fn list<'v>(value: &'v Value, name: &str) -> Vec<&'v Value> {
    value[name].as_array().into_iter().flatten().collect()
}

fn has(value: &Value, name: &str, wanted: &str) -> bool {
    list(value, name).iter().any(|one| *one == wanted)
}

/// Effect and reason, by going through everything.
fn naive(
    question: &Value,
    held: &Held,
    matrix: &Value,
    registry: Option<&Value>,
) -> (String, String) {
    let answer = |effect: &str, reason: &str| (effect.to_owned(), reason.to_owned());
    if matches!(held, Held::Stopped) {
        return answer("deny", "subject-not-active");
    }
    let text = |pointer: &str| question.pointer(pointer).and_then(Value::as_str).unwrap_or("");
    let (kind, id, system) =
        (text("/resource/type"), text("/resource/id"), text("/resource/system"));
    if system == "countersign" {
        return by_matrix(question, held, matrix, None, true);
    }
    let manifests =
        registry.map(|registry| list(registry, "resource_manifests")).unwrap_or_default();
    let found = manifests.iter().find_map(|manifest| {
        list(manifest, "resources")
            .into_iter()
            .find(|one| one["id"] == id)
            .map(|one| (*manifest, one))
    });
    let systems = registry.map(|registry| list(registry, "systems")).unwrap_or_default();
    let package = systems
        .iter()
        .find(|one| one["id"] == system)
        .and_then(|one| one["policy_package"].as_str());
    let first = match package {
        Some("ops-warden.ssh-certificate.sign") => {
            certificate(question, registry, found.map(|(_, it)| it))
        }
        Some(_) => answer("deny", "policy_unavailable"),
        None if system == "ops-warden" || kind == "ssh-certificate" => {
            certificate(question, registry, found.map(|(_, it)| it))
        }
        None => relationship(question, registry, found)
            .unwrap_or_else(|| by_matrix(question, held, matrix, registry, false)),
    };
    let needs = found
        .is_some_and(|(_, it)| it["type"] == kind && !it["attributes"]["approval_level"].is_null());
    if first.0 == "allow" && needs {
        answer("requires_approval", "approval_required")
    } else {
        first
    }
}

fn subject<'r>(question: &Value, registry: Option<&'r Value>) -> Option<&'r Value> {
    let asked = &question["subject"];
    let tenant = [&question["tenant"], &asked["tenant"]].into_iter().find(|one| !one.is_null());
    if tenant.is_some() && tenant != registry.map(|registry| &registry["tenant"]) {
        return None;
    }
    let all = registry.map(|registry| list(registry, "subjects")).unwrap_or_default();
    all.into_iter().find(|one| one["id"] == asked["id"] && one["type"] == asked["type"])
}

fn relationship(
    question: &Value,
    registry: Option<&Value>,
    found: Option<(&Value, &Value)>,
) -> Option<(String, String)> {
    let (registry, subject) = (registry?, subject(question, registry)?);
    let asked = &question["resource"];
    let (manifest, system) = match found {
        Some((manifest, resource)) => {
            if resource["type"] != asked["type"]
                || (!asked["system"].is_null() && asked["system"] != manifest["system"])
            {
                return None;
            }
            (manifest, &manifest["system"])
        }
        None => (&Value::Null, &asked["system"]),
    };
    let objects = [
        if found.is_some() { asked["id"].as_str().map(String::from) } else { None },
        manifest["id"].as_str().map(String::from),
        system.as_str().map(String::from),
        system.as_str().map(|system| format!("system:{system}")),
    ];
    let id = subject["id"].as_str().unwrap();
    let belongs = |name: &Value| {
        let group = name.as_str().unwrap();
        let is_member = |kind: &str| {
            list(registry, kind).iter().any(|one| one["id"] == group && has(one, "members", id))
        };
        group == id || has(subject, "groups", group) || is_member("groups") || is_member("teams")
    };
    let action = question["action"].as_str().unwrap();
    let reasons: Vec<&str> = list(registry, "relationships")
        .into_iter()
        .filter(|one| {
            let object = one["object"].as_str().map(String::from);
            let relation = one["relation"].as_str().unwrap();
            objects.contains(&object)
                && belongs(&one["subject"])
                && (relation == action || has(&manifest["relations"], relation, action))
        })
        .map(|one| one["relation"].as_str().unwrap())
        .collect();
    // Which of several names the reason is the evaluator's choice.
    (!reasons.is_empty()).then(|| {
        ("allow".to_owned(), reasons.iter().map(|one| format!("relationship:{one}|")).collect())
    })
}

fn by_matrix(
    question: &Value,
    held: &Held,
    matrix: &Value,
    registry: Option<&Value>,
    always: bool,
) -> (String, String) {
    let (kind, action) =
        (question["resource"]["type"].as_str().unwrap(), question["action"].as_str().unwrap());
    let known = ROLES.iter().any(|role| !matrix["matrix"][role][kind].is_null());
    if !known && !always {
        return ("deny".into(), "no_matching_rule".into());
    }
    let of_registry = || -> Option<Vec<String>> {
        let subject = subject(question, registry)?;
        Some(list(subject, "roles").iter().map(|role| role.as_str().unwrap().to_owned()).collect())
    };
    let roles = match held {
        Held::Scopes(scopes) => {
            let wanted = format!("{kind}:{action}");
            if scopes.contains(&wanted) {
                return ("allow".into(), format!("scope:{wanted}"));
            }
            return ("deny".into(), "insufficient-permissions".into());
        }
        Held::Roles(roles) => roles.clone(),
        Held::Nothing | Held::Stopped => of_registry().unwrap_or_default(),
    };
    if roles.is_empty() {
        return ("deny".into(), "no-credentials".into());
    }
    let holds = |role: &&&str| {
        let named = roles.iter().any(|one| one == **role || (one == "alias" && **role == "two"));
        named && has(&matrix["matrix"][**role], kind, action)
    };
    match ROLES.iter().find(holds) {
        Some(role) => ("allow".into(), format!("role:{role}")),
        None => ("deny".into(), "insufficient-permissions".into()),
    }
}

fn certificate(
    question: &Value,
    registry: Option<&Value>,
    resource: Option<&Value>,
) -> (String, String) {
    let deny = |reason: &str| ("deny".to_owned(), reason.to_owned());
    let Some(registry) = registry else { return deny("registry_unavailable") };
    let (context, asked) = (&question["context"], &question["resource"]);
    let tenant = [&question["tenant"], &question["subject"]["tenant"]]
        .into_iter()
        .find(|one| !one.is_null());
    if question["action"] != "sign" {
        return deny("wrong_action");
    }
    if asked["system"] != "ops-warden" {
        return deny("wrong_system");
    }
    if asked["type"] != "ssh-certificate" {
        return deny("wrong_resource_type");
    }
    if tenant != Some(&registry["tenant"]) {
        return deny("wrong_tenant");
    }
    if !["adm", "agt", "atm"].iter().any(|kind| context["actor_type"] == *kind) {
        return deny("invalid_actor_type");
    }
    if context["actor_type"] != question["subject"]["type"] {
        return deny("subject_type_mismatch");
    }
    let Some(resource) = resource.filter(|it| it["type"] == "ssh-certificate") else {
        return deny("unknown_actor_resource");
    };
    let attributes = &resource["attributes"];
    if attributes["actor_type"] != context["actor_type"] {
        return deny("actor_type_mismatch");
    }
    if !has(attributes, "allowed_subjects", question["subject"]["id"].as_str().unwrap()) {
        return deny("subject_not_allowed");
    }
    let ttl = context["ttl_hours"].as_i64();
    if ttl.is_none_or(|ttl| ttl < 1 || ttl > attributes["max_ttl_hours"].as_i64().unwrap()) {
        return deny("ttl_out_of_bounds");
    }
    if context["pubkey_fingerprint"].as_str().unwrap_or("").is_empty() {
        return deny("missing_pubkey_fingerprint");
    }
    let principals = list(context, "principals");
    let allowed = |one: &&Value| has(attributes, "allowed_principals", one.as_str().unwrap());
    if principals.is_empty() || !principals.iter().all(allowed) {
        return deny("principal_not_allowed");
    }
    ("allow".to_owned(), "signing_policy_matched".to_owned())
}

fn world(dice: &mut Dice, reasons: &mut std::collections::BTreeMap<String, usize>) {
    let matrix = dice.matrix();
    let snapshot = dice.chance(0.9).then(|| dice.registry());
    let registry =
        snapshot.as_ref().map(|snapshot| Arc::new(Registry::parse(&snapshot.to_string()).unwrap()));
    let policies = Policies {
        matrix: Arc::new(Matrix::parse(&matrix.to_string()).unwrap()),
        registry,
        packages: None,
        routes: None,
        authz: None,
    };
    for _ in 0..ASKED {
        let value = dice.question();
        let json = Json::from(&value);
        let question = Question::read(&json, Form::Check).unwrap();
        let held = match dice.0.random_range(0..8) {
            0 => Held::Stopped,
            1 => Held::Scopes(dice.some(&["page:read", "pin:write", "page:drop", "ssh:sign"])),
            2 => Held::Roles(dice.some(&["one", "two", "three", "alias", "no-role"])),
            _ => Held::Nothing,
        };
        let roles: Vec<Arc<str>> = match &held {
            Held::Roles(roles) => roles.iter().map(|role| role.as_str().into()).collect(),
            _ => Vec::new(),
        };
        let scopes: Permissions = match &held {
            Held::Scopes(scopes) if !scopes.is_empty() => {
                Permissions::from_scope(&scopes.join(" ")).unwrap()
            }
            _ => Permissions::default(),
        };
        let holder = match &held {
            Held::Nothing => Holder::Stranger,
            Held::Stopped => Holder::Stopped,
            Held::Roles(_) => Holder::Roles(&roles),
            Held::Scopes(_) => Holder::Scopes(&scopes),
        };
        let decision = policies.decide(&question, holder, 0);
        let (effect, reason) = naive(&value, &held, &matrix, snapshot.as_ref());
        let found = decision.reason().to_string();
        let is_one = reason.split('|').any(|one| one == found);
        let told = || format!("{found} not {reason}: {value} {matrix} {snapshot:?}");
        assert!(decision.effect().as_str() == effect && is_one, "{}", told());
        *reasons.entry(found).or_default() += 1;
    }
}

#[test]
fn a_million_random_questions_are_answered_as_the_obvious_evaluator_answers_them() {
    let mut dice = Dice(TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let mut reasons = std::collections::BTreeMap::new();
    for _ in 0..WORLDS {
        world(&mut dice, &mut reasons);
    }
    assert_eq!(reasons.values().sum::<usize>(), 1_000_000);
    println!("{reasons:#?}");
    for rare in [
        "signing_policy_matched",
        "principal_not_allowed",
        "approval_required",
        "relationship:editor",
        "role:three",
        "scope:page:read",
        "policy_unavailable",
        "registry_unavailable",
    ] {
        assert!(
            reasons.get(rare).is_some_and(|times| *times > 100),
            "{rare} is hardly ever asked for: {reasons:?}"
        );
    }
}
