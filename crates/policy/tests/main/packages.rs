//! Packages in Rego: what binds them, what they see and answer, and what becomes of those that are faulty,
//! endless or huge.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use countersign_policy::{
    Decision, Effect, Form, Holder, InvalidPackages, Json, Matrix, Packages, Policies, Question,
    Registry,
};
use insta::assert_snapshot;
use serde_json::{Value, json};

const DOCUMENTS: &str = r#"# METADATA
# title: Documents
# custom:
#   id: example.documents
#   version: v1
#   systems: [docs]
#   resource_types: [document]
package example.documents

default decision := {"effect": "deny", "reason": "no_rule"}

decision := {"effect": "allow", "reason": "owner"} if {
	input.action.name == "read"
	input.resource.properties.owner == input.subject.id
}

decision := {"effect": "requires_approval", "reason": "editor", "approval_level": 2,
	"obligations": [{"type": "docs.watermark", "parameters": {"text": "draft"}}]} if {
	input.action.name == "write"
	"editor" in data.registry.subject.roles
}
"#;

/// A package of one rule.
fn package(rules: &str) -> String {
    format!(
        "# METADATA\n# custom:\n#   id: example.one\n#   version: v1\n#   systems: [docs]\npackage example.one\n{rules}\n"
    )
}

fn read(files: &[(&str, &str)]) -> Result<Packages, InvalidPackages> {
    let files: BTreeMap<String, String> =
        files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    Packages::read(&files)
}

fn policies(text: &str) -> Policies {
    let packages = read(&[("docs.rego", text)]).unwrap();
    let registry = json!({
        "tenant": "acme",
        "systems": [{"id": "docs"}],
        "resource_manifests": [{"id": "manifest", "system": "docs", "actions": ["read", "write"], "resources": [
            {"id": "doc-1", "type": "document", "attributes": {"owner": "ada"}}]}],
        "subjects": [{"id": "ada", "type": "user", "roles": ["editor"]}],
        "groups": [], "teams": [], "tenants": [{"id": "acme"}], "relationships": [],
    });
    Policies {
        matrix: Arc::new(Matrix::built_in()),
        registry: Some(Arc::new(Registry::parse(&registry.to_string()).unwrap())),
        packages: Some(Arc::new(packages)),
        routes: None,
        authz: None,
    }
}

fn question(subject: &str, action: &str) -> Value {
    json!({"subject": {"type": "user", "id": subject}, "action": action,
        "resource": {"type": "document", "id": "doc-1", "system": "docs"}})
}

fn ask(policies: &Policies, question: &Value) -> Decision {
    policies.decide(
        &Question::read(&Json::from(question), Form::Check).unwrap(),
        Holder::Stranger,
        1_700_000_000_000_000,
    )
}

fn told(decision: &Decision) -> String {
    let verdict = &decision.verdict;
    let rule = verdict.rule.as_deref().unwrap_or("-");
    let mut told = format!("{} {} {rule}", verdict.effect.as_str(), verdict.reason);
    for diagnostic in &verdict.diagnostics {
        told += &format!(" [{diagnostic}]");
    }
    told
}

#[test]
fn a_package_answers_for_what_it_is_bound_to() {
    let policies = policies(DOCUMENTS);
    let told = |question: &Value| told(&ask(&policies, question));
    assert_snapshot!(told(&question("ada", "read")), @"allow owner example.documents/owner");
    assert_snapshot!(told(&question("bob", "read")), @"deny no_rule example.documents/no_rule");
    assert_snapshot!(told(&question("bob", "write")), @"deny no_rule example.documents/no_rule");
    let written = ask(&policies, &question("ada", "write"));
    assert_eq!(written.effect(), Effect::RequiresApproval);
    assert_eq!(written.verdict.approval_level, Some(2));
    assert_eq!(
        serde_json::to_value(&written.verdict.obligations).unwrap(),
        json!([{"type": "docs.watermark", "parameters": {"text": "draft"}}])
    );
    assert_eq!((&*written.policy.package, &*written.policy.version), ("example.documents", "v1"));
    assert!(written.policy.registry.is_some());
    // What the question says wins over what is stored; another tenant has nothing stored here.
    let mut said = question("bob", "read");
    said["resource"]["properties"] = json!({"owner": "bob"});
    assert_snapshot!(told(&said), @"allow owner example.documents/owner");
    let mut elsewhere = question("ada", "read");
    elsewhere["tenant"] = json!("other");
    assert_snapshot!(told(&elsewhere), @"deny no_rule example.documents/no_rule");
    // By its type alone, too; and of another system nobody but the matrix knows.
    let mut typed = question("ada", "read");
    typed["resource"] = json!({"type": "document", "id": "doc-1"});
    assert_snapshot!(told(&typed), @"allow owner example.documents/owner");
    let mut other = question("ada", "read");
    other["resource"] = json!({"type": "sheet", "id": "doc-1"});
    assert_snapshot!(told(&other), @"deny no_matching_rule -");
}

#[test]
fn roles_and_approvals_that_are_written_into_a_question_are_not_seen() {
    let rules = r#"decision := {"effect": "deny", "reason": "seen", "obligations": [{"type": "seen", "parameters": {"input": input, "registry": data.registry}}]}"#;
    let mut asked = question("ada", "read");
    asked["context"] = json!({"approval": {"id": "x"}, "purpose": "test"});
    asked["subject"]["properties"] = json!({"roles": ["infra"]});
    let decision = ask(&policies(&package(rules)), &asked);
    let seen = &decision.verdict.obligations[0].parameters;
    insta::assert_json_snapshot!(seen, @r#"
{
  "input": {
    "action": {
      "name": "read",
      "properties": {}
    },
    "context": {
      "purpose": "test"
    },
    "resource": {
      "id": "doc-1",
      "properties": {
        "owner": "ada"
      },
      "system": "docs",
      "type": "document"
    },
    "subject": {
      "id": "ada",
      "properties": {
        "roles": [
          "infra"
        ]
      },
      "tenant": null,
      "type": "user"
    },
    "tenant": null
  },
  "registry": {
    "resource": {
      "properties": {
        "owner": "ada"
      }
    },
    "subject": {
      "properties": {},
      "roles": [
        "editor"
      ]
    }
  }
}
"#);
}

#[test]
fn time_is_the_decisions_and_nothing_is_left_to_chance() {
    let rules = r#"decision := {"effect": "deny", "reason": sprintf("t%d", [time.now_ns()])}"#;
    assert_snapshot!(told(&ask(&policies(&package(rules)), &question("ada", "read"))), @"deny t1700000000000000000 example.one/t1700000000000000000");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "that an endless rule ends is a matter of real time")]
fn a_rule_that_fails_denies_and_says_where() {
    let told = |rules: &str| {
        let policies = policies(&package(rules));
        let begun = Instant::now();
        let decision = ask(&policies, &question("ada", "read"));
        assert!(begun.elapsed() < Duration::from_secs(10), "{rules}: {:?}", begun.elapsed());
        assert_eq!(decision.effect(), Effect::Deny);
        told(&decision)
    };
    let long = "range := numbers.range(1, 5000)\n";
    let faulty = [
        "decision := {\"effect\": \"allow\", \"reason\": \"ok\"} if input.nothing",
        "decision := {\"effect\": \"allow\", \"reason\": to_number(\"one\")}",
        "default decision := {\"effect\": \"allow\", \"reason\": \"ok\"}\ndecision := {\"effect\": \"deny\", \"reason\": \"bad\"} if to_number(input.action.name) > 1",
        "decision := {\"effect\": \"allow\", \"reason\": \"ok\"} if not startswith(input.resource, \"a\")",
        "decision := {\"effect\": \"allow\", \"reason\": \"ok\"} if count([1 | startswith(input.resource, \"a\")]) == 0",
        "decision := {\"effect\": \"allow\", \"reason\": 1 / 0}",
        "decision := {\"effect\": \"permit\", \"reason\": \"ok\"}",
        "decision := {\"effect\": \"allow\"}",
        "decision := {\"effect\": \"allow\", \"reason\": \"two words\"}",
        "decision := {\"effect\": \"allow\", \"reason\": \"ok\", \"obligation\": []}",
        "decision := {\"effect\": \"allow\", \"reason\": \"ok\", \"obligations\": [1]}",
        "decision := {\"effect\": \"allow\", \"reason\": \"ok\", \"approval_level\": 6}",
        "decision := \"allow\"",
        "decision := {\"effect\": \"allow\", \"reason\": concat(\"\", [\"a\" | some i in numbers.range(1, 500)])}",
        "decision := {\"effect\": \"allow\", \"reason\": \"ok\", \"obligations\": [{\"type\": \"t\", \"parameters\": {\"all\": numbers.range(1, 20000)}}]}",
        "decision := {\"effect\": \"allow\", \"reason\": \"one\"}\ndecision := {\"effect\": \"allow\", \"reason\": \"two\"}",
        &format!("{long}decision := count([1 | some i in range; some j in range])"),
        &format!("{long}decision := count([x | some i in range; some j in range; x := [i, j]])"),
        "decision := count(numbers.range(1, 9000000000000000000))",
        "decision := count(numbers.range_step(1, 9000000000000000000, 1))",
        "decision := sprintf(\"%0999999999999d\", [1])",
        "decision := bits.lsh(1, 4000000000)",
        "decision := count(net.cidr_expand(\"0.0.0.0/0\"))",
        "decision := count(net.cidr_expand(\"::/0\"))",
        "decision := to_number(\"1e2000000000\")",
        "decision := json.unmarshal(\"[1e2000000000]\")",
        "decision := units.parse(\"1e2000000000K\")",
        "decision := units.parse_bytes(\"1e2000000000K\")",
        "a := concat(\"\", [\"0123456789\" | some i in numbers.range(1, 3000)])\nb := replace(a, \"0\", a)\ndecision := replace(b, \"0\", b)",
        "a := concat(\"\", [\"0123456789\" | some i in numbers.range(1, 3000)])\ndecision := concat(a, [a | some i in numbers.range(1, 3000)])",
        "decision := json.marshal(e9)\ne0 := [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\ne1 := [e0, e0, e0, e0, e0, e0, e0, e0, e0, e0]\ne2 := [e1, e1, e1, e1, e1, e1, e1, e1, e1, e1]\ne3 := [e2, e2, e2, e2, e2, e2, e2, e2, e2, e2]\ne9 := [e3, e3, e3, e3, e3, e3, e3, e3, e3, e3, e3, e3]",
        "decision := strings.replace_n({\"a\": \"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\", \"b\": \"cccccccccccccccccccccccccccccccc\", \"c\": \"dddddddddddddddddddddddddddddddd\", \"d\": \"eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee\", \"e\": \"ffffffffffffffffffffffffffffffff\"}, \"a\")",
        "copies := [{\"op\": \"copy\", \"from\": \"/a\", \"path\": \"/a/0\"} | some i in numbers.range(1, 60)]\ndecision := json.patch({\"a\": [1]}, copies)",
    ];
    let all: Vec<String> = faulty
        .iter()
        .map(|rules| {
            format!(
                "{}\n    {}",
                rules.lines().last().unwrap().chars().take(90).collect::<String>(),
                told(rules)
            )
        })
        .collect();
    assert_snapshot!(all.join("\n"), @r#"
decision := {"effect": "allow", "reason": "ok"} if input.nothing
    deny no_matching_rule - [docs.rego: `decision` has no value: no rule applies]
decision := {"effect": "allow", "reason": to_number("one")}
    deny error example.one/error [docs.rego:7: `to_number`: could not parse string as number]
decision := {"effect": "deny", "reason": "bad"} if to_number(input.action.name) > 1
    deny error example.one/error [docs.rego:8: `to_number`: could not parse string as number]
decision := {"effect": "allow", "reason": "ok"} if not startswith(input.resource, "a")
    deny error example.one/error [docs.rego:7: `startswith`: expects string argument. Got `{"id":"doc-1","properties":{"owner":"ada"},"system":"docs","type":"document"}` instead]
decision := {"effect": "allow", "reason": "ok"} if count([1 | startswith(input.resource, "
    deny error example.one/error [docs.rego:7: `startswith`: expects string argument. Got `{"id":"doc-1","properties":{"owner":"ada"},"system":"docs","type":"document"}` instead]
decision := {"effect": "allow", "reason": 1 / 0}
    deny error example.one/error [docs.rego:7: `/`: divide by zero]
decision := {"effect": "permit", "reason": "ok"}
    deny error example.one/error [docs.rego: `decision` must have an `effect` of allow, deny or requires_approval]
decision := {"effect": "allow"}
    deny error example.one/error [docs.rego: `decision` has no `reason`]
decision := {"effect": "allow", "reason": "two words"}
    deny error example.one/error [docs.rego: `decision` must have a `reason`: one word of 1 to 64 letters, digits, `_`, `-`, `:` or `.`]
decision := {"effect": "allow", "reason": "ok", "obligation": []}
    deny error example.one/error [docs.rego: `decision` has a member `obligation` that is not known]
decision := {"effect": "allow", "reason": "ok", "obligations": [1]}
    deny error example.one/error [docs.rego: `decision` must have `obligations` that are a list of {type, parameters}]
decision := {"effect": "allow", "reason": "ok", "approval_level": 6}
    deny error example.one/error [docs.rego: `decision` must have an `approval_level` of 1 to 5]
decision := "allow"
    deny error example.one/error [docs.rego: `decision` must be an object]
decision := {"effect": "allow", "reason": concat("", ["a" | some i in numbers.range(1, 500
    deny error example.one/error [docs.rego: `decision` must have a `reason`: one word of 1 to 64 letters, digits, `_`, `-`, `:` or `.`]
decision := {"effect": "allow", "reason": "ok", "obligations": [{"type": "t", "parameters"
    deny error example.one/error [docs.rego: `decision` is too large]
decision := {"effect": "allow", "reason": "two"}
    deny error example.one/error [docs.rego: `a rule`: has two values, or null, which looks the same]
decision := count([1 | some i in range; some j in range])
    deny error example.one/error [docs.rego:8: stopped: it may take 1000000 instructions, 500 ms and 16 MiB]
decision := count([x | some i in range; some j in range; x := [i, j]])
    deny error example.one/error [docs.rego:8: stopped: it may take 1000000 instructions, 500 ms and 16 MiB]
decision := count(numbers.range(1, 9000000000000000000))
    deny error example.one/error [docs.rego:7: `numbers.range`: the result may be larger than 4194304 bytes]
decision := count(numbers.range_step(1, 9000000000000000000, 1))
    deny error example.one/error [docs.rego:7: `numbers.range_step`: the result may be larger than 4194304 bytes]
decision := sprintf("%0999999999999d", [1])
    deny error example.one/error [docs.rego:7: `sprintf`: the result may be larger than 4194304 bytes]
decision := bits.lsh(1, 4000000000)
    deny error example.one/error [docs.rego:7: `bits.lsh`: the result may be larger than 4194304 bytes]
decision := count(net.cidr_expand("0.0.0.0/0"))
    deny error example.one/error [docs.rego:7: `net.cidr_expand`: the result may be larger than 4194304 bytes]
decision := count(net.cidr_expand("::/0"))
    deny error example.one/error [docs.rego:7: `net.cidr_expand`: the result may be larger than 4194304 bytes]
decision := to_number("1e2000000000")
    deny error example.one/error [docs.rego:7: `to_number`: the result may be larger than 4194304 bytes]
decision := json.unmarshal("[1e2000000000]")
    deny error example.one/error [docs.rego:7: `json.unmarshal`: the result may be larger than 4194304 bytes]
decision := units.parse("1e2000000000K")
    deny error example.one/error [docs.rego:7: `units.parse`: the result may be larger than 4194304 bytes]
decision := units.parse_bytes("1e2000000000K")
    deny error example.one/error [docs.rego:7: `units.parse_bytes`: the result may be larger than 4194304 bytes]
decision := replace(b, "0", b)
    deny error example.one/error [docs.rego:8: `replace`: the result may be larger than 4194304 bytes]
decision := concat(a, [a | some i in numbers.range(1, 3000)])
    deny error example.one/error [docs.rego:8: `concat`: the result may be larger than 4194304 bytes]
e9 := [e3, e3, e3, e3, e3, e3, e3, e3, e3, e3, e3, e3]
    deny error example.one/error [docs.rego:7: `json.marshal`: the result may be larger than 4194304 bytes]
decision := strings.replace_n({"a": "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", "b": "cccccccccccc
    deny error example.one/error [docs.rego:7: `strings.replace_n`: the result may be larger than 4194304 bytes]
decision := json.patch({"a": [1]}, copies)
    deny error example.one/error [docs.rego:8: `json.patch`: the result may be larger than 4194304 bytes]
"#);
}

#[test]
fn numbers_that_grow_without_end_deny() {
    // Whether time or the number's size ends it is a matter of the machine.
    let rules = "decision := x17\nx0 := 12345678901234567890\nx1 := x0 * x0\nx2 := x1 * x1\nx3 := x2 * x2\nx4 := x3 * x3\nx5 := x4 * x4\nx6 := x5 * x5\nx7 := x6 * x6\nx8 := x7 * x7\nx9 := x8 * x8\nx10 := x9 * x9\nx11 := x10 * x10\nx12 := x11 * x11\nx13 := x12 * x12\nx14 := x13 * x13\nx15 := x14 * x14\nx16 := x15 * x15\nx17 := x16 * x16";
    let decision = ask(&policies(&package(rules)), &question("ada", "read"));
    assert!(told(&decision).starts_with("deny error example.one/error ["), "{}", told(&decision));
}

#[test]
fn what_can_not_be_used_is_told_with_its_place() {
    let faults = |files: &[(&str, &str)]| read(files).unwrap_err().to_string();
    let deep = package(&format!("decision := {}1{}", "[".repeat(400), "]".repeat(400)));
    let chain: String = (0..100).map(|i| format!("r{i} := r{}\n", i + 1)).collect();
    let chain = package(&format!("{chain}r100 := 1\ndecision := r0"));
    let texts = [
        "package example.none\ndecision := 1".to_owned(),
        "# METADATA\n# custom: {id: a\npackage a\n".to_owned(),
        "# METADATA\n# custom: {version: v1}\npackage a\n".to_owned(),
        "# METADATA\n# custom: {id: a, version: v1, system: [x]}\npackage a\n".to_owned(),
        "# METADATA\n# scope: rule\n# custom: {id: a, version: v1}\npackage a\n".to_owned(),
        "# METADATA\n# custom: {id: a, version: v1}\n\npackage a\n".to_owned(),
        "# METADATA\n# custom: {id: rbac, version: v1}\npackage a\ndecision := 1".to_owned(),
        "# METADATA\n# custom: {id: a, version: v1, systems: [ops-warden]}\npackage a\ndecision := 1".to_owned(),
        "# METADATA\n# custom: {id: a, version: v1, systems: [countersign]}\npackage a\ndecision := 1".to_owned(),
        "# METADATA\n# custom: {id: a, version: v1, resource_types: [x, x]}\npackage a\ndecision := 1".to_owned(),
        package("deny := 1"),
        package("decision := {"),
        package("decision := crypto.sha256(\"a\")"),
        package("decision := http.send({\"url\": \"http://127.0.0.1\"})"),
        package("decision := rand.intn(\"a\", 5)"),
        package("decision := uuid.rfc4122(\"a\")"),
        package("decision := opa.runtime()"),
        package("decision := graph.reachable_paths({\"a\": [\"b\"]}, {\"a\"})"),
        package("decision := unknown"),
        package("decision := a\na := b\nb := a"),
        package("decision := f(1)\nf(x) := g(x)\ng(x) := f(x)"),
        package("decision := count([1 | decision])"),
        package("decision := data.example.one[input.action.name]\na := 1"),
        package("decision := 1e2000000000"),
        deep,
        chain,
        "# METADATA\n# custom: {id: a, version: v1}\npackage registry\ndecision := 1".to_owned(),
    ];
    let all: Vec<String> = texts.iter().map(|text| faults(&[("a.rego", text)])).collect();
    assert_snapshot!(all.join("\n"), @r#"
not usable packages; a.rego: no metadata: above the `package` line belong the comments `# METADATA`, `# custom:`, `#   id: …`, `#   version: …`, and `#   systems: […]` or `#   resource_types: […]`
not usable packages; a.rego:1: the metadata can't be read: line 1 column 10: unclosed bracket '{'
not usable packages; a.rego:1: the metadata can't be read: line 1 column 11: missing field `id`
not usable packages; a.rego:1: the metadata can't be read: line 1 column 31: unknown field `system`, expected one of id, version, systems, resource_types
not usable packages; a.rego:1: the metadata above the `package` line must be of the scope `package`
not usable packages; a.rego: no metadata: above the `package` line belong the comments `# METADATA`, `# custom:`, `#   id: …`, `#   version: …`, and `#   systems: […]` or `#   resource_types: […]`
not usable packages; a.rego: the id `rbac` is taken: give it another one
not usable packages; a.rego: the system `ops-warden` is bound to `ops-warden.ssh-certificate.sign` already
not usable packages; a.rego: the system `countersign` is bound to `rbac` already
not usable packages; a.rego: the resource type `x` is bound to `a` already
not usable packages; a.rego: has no rule `decision`
not usable packages; a.rego:8:1: expecting expression
not usable packages; a.rego:7:26: Unknown function: 'crypto.sha256'
not usable packages; a.rego:7:22: Unknown function: 'http.send'
not usable packages; a.rego:7: `rand.intn` has no place in a decision
not usable packages; a.rego:7:25: Unknown function: 'uuid.rfc4122'
not usable packages; a.rego:7:24: Unknown function: 'opa.runtime'
not usable packages; a.rego:7: `graph.reachable_paths` has no place in a decision
not usable packages; a.rego:7:13: Undefined variable: 'unknown'
not usable packages; a.rego: rules call each other in a circle, or more than 64 deep
not usable packages; a.rego: rules call each other in a circle, or more than 64 deep
not usable packages; a.rego: rules call each other in a circle, or more than 64 deep
not usable packages; a.rego: Compilation error: Compile-time recursion detected in rule call chain: data.example.one.decision -> data.example.one.decision
not usable packages; a.rego:8: an exponent of more than 3 digits
not usable packages; a.rego:8: brackets stand more than 10 deep within each other
not usable packages; a.rego: rules call each other in a circle, or more than 64 deep
not usable packages; a.rego: the package name `registry` is taken: give it another one
"#);
    let other = DOCUMENTS.replace("example.documents", "example.others");
    assert_snapshot!(faults(&[("a.rego", DOCUMENTS), ("b.rego", &other), ("c.rego", DOCUMENTS)]), @"not usable packages; b.rego: the system `docs` is bound to `example.documents` already; b.rego: the resource type `document` is bound to `example.documents` already; c.rego: the id `example.documents` is taken: give it another one");
}

#[test]
fn a_circle_through_what_runs_is_no_end_of_the_process() {
    // Each of these is refused when it is read or denied when it is asked; none ends in a stack overflow.
    for rules in [
        "decision := data.example.one.other\nother := data.example.one.decision",
        "decision := x if { some k; x := data.example.one[k] }",
        "decision := [1 | data.example[_]]",
        "decision := walk(data)",
        "decision := data.example",
        "decision := data",
    ] {
        let text = package(rules);
        if read(&[("a.rego", &text)]).is_ok() {
            assert_eq!(
                ask(&policies(&text), &question("ada", "read")).effect(),
                Effect::Deny,
                "{rules}"
            );
        }
    }
}
