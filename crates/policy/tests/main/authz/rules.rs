//! Rules in Rego: what they see and answer, how they are kept within bounds, and what is refused when they are
//! read.

use std::time::{Duration, Instant};

use countersign_policy::authz::Asked;
use countersign_policy::{Authz, Permissions};
use insta::assert_snapshot;

use super::{NOW, ask, faults, read, told};

/// A package of one file.
fn package(rules: &str) -> String {
    format!("package countersign.authz\n{rules}\n")
}

fn rules(text: &str) -> Authz {
    read(&[("authz.rego", &package(text))]).unwrap().unwrap()
}

/// What rules answer to `GET /a` by somebody with one scope.
#[expect(clippy::disallowed_methods, reason = "that an endless rule ends is a matter of real time")]
fn answer(text: &str) -> String {
    let authz = rules(text);
    let begun = Instant::now();
    let answer = ask(&authz, "GET", "/a", "agents:read");
    assert!(begun.elapsed() < Duration::from_secs(10), "{text}: {:?}", begun.elapsed());
    answer
}

#[test]
fn rules_allow_and_deny_with_a_reason_of_their_own() {
    let authz = rules(
        r#"default allow := false

allow if {
	input.method == "GET"
	startswith(input.path, "/api/v1/agents/")
	"agents:read" in input.scopes
}

reason := "wrong_method" if input.method != "GET"
else := concat(":", ["lacks", "agents", "read"]) if not "agents:read" in input.scopes
"#,
    );
    assert_eq!(ask(&authz, "GET", "/api/v1/agents/1", "agents:read"), "allow");
    assert_eq!(ask(&authz, "POST", "/api/v1/agents/1", "agents:read"), "deny wrong_method");
    assert_eq!(ask(&authz, "GET", "/api/v1/agents/1", "tokens:read"), "deny lacks:agents:read");
    assert_eq!(ask(&authz, "GET", "/api/v1/tokens", "agents:read"), "deny policy_denied");
}

#[test]
fn rules_see_the_whole_question_and_nothing_else() {
    let authz = rules(
        r#"reason := concat(":", [replace(x, "/", ".") | some x in seen])
seen := [input.method, input.path, input.scopes[1], input.agentId, input.roles[0], input.tenant, sprintf("%d", [count(input)])]
allow := false"#,
    );
    assert_snapshot!(ask(&authz, "GET", "/a", "a:b c:d"), @"deny GET:.a:c:d:agent-1:worker:acme:6");
    let authz =
        rules("allow if input.agentId == null\nallow if not input.agentId\nreason := \"agent\"");
    let scopes = Permissions::default();
    let asked = Asked {
        method: "GET",
        path: "/a",
        scopes: &scopes,
        agent: None,
        roles: &[],
        tenant: "acme",
    };
    assert_eq!(told(&authz.ask(&asked, NOW)), "allow");
    assert_eq!(ask(&authz, "GET", "/a", ""), "deny agent");
}

#[test]
fn only_true_allows() {
    assert_eq!(answer("allow := true"), "allow");
    assert_eq!(answer("default allow := false"), "deny policy_denied");
    assert_eq!(answer("allow if input.nothing"), "deny policy_denied");
    assert_snapshot!(answer("allow := true\nallow := false"), @"deny error [authz.rego: `a rule`: has two values, or null, which looks the same]");
    for other in ["1", "\"true\"", "null", "[true]", "{true}", "{\"allow\": true}", "set()"] {
        assert_eq!(
            answer(&format!("allow := {other}")),
            "deny error [authz.rego: `allow` must be true or false]",
            "{other}"
        );
    }
    assert_snapshot!(answer("allow contains \"yes\""), @"deny error [authz.rego: `allow` must be true or false]");
    assert_snapshot!(answer("allow[x] := true if some x in input.scopes"), @"deny error [authz.rego: `allow` must be true or false]");
}

#[test]
fn a_reason_that_is_no_word_is_not_passed_on() {
    for other in [
        "1",
        "\"\"",
        "\"two words\"",
        "\"a\\nb\"",
        "\"é\"",
        "[\"word\"]",
        "concat(\"\", [\"abcdefgh\" | some i in numbers.range(1, 9)])",
    ] {
        assert_eq!(
            answer(&format!("allow := false\nreason := {other}")),
            "deny policy_denied [authz.rego: `reason` must be one word of 1 to 64 letters, digits, `_`, `-`, `:` or `.`]",
            "{other}"
        );
    }
    assert_snapshot!(answer("allow := false\nreason := to_number(input.path)"), @"deny policy_denied [authz.rego:3: `to_number`: could not parse string as number]");
    assert_snapshot!(answer("allow := false\nreason := \"one\"\nreason := \"two\""), @"deny policy_denied [authz.rego: `a rule`: has two values, or null, which looks the same]");
}

#[test]
fn what_fails_denies_and_says_where() {
    let long = "range := numbers.range(1, 5000)\n";
    let failing = [
        "allow if startswith(input.scopes, \"a\")",
        "allow if not startswith(input.scopes, \"a\")",
        "default allow := true\nallow := false if to_number(input.path) > 1",
        "allow if to_number(input.path) > 1",
        "allow if regex.match(\"(\", input.path)",
        &format!("{long}allow if count([1 | some i in range; some j in range]) > 0"),
        &format!("{long}allow if {{ some i in range; some j in range; i + j == -1 }}"),
        &format!("{long}allow if every i in range {{ every j in range {{ i + j > 0 }} }}"),
        &format!("{long}allow if count({{[i, j] | some i in range; some j in range}}) > 0"),
        "allow if count(numbers.range(1, 9000000000000000000)) > 0",
        "allow if sprintf(\"%0999999999999d\", [1]) != \"\"",
        "a := concat(\"\", [\"0123456789\" | some i in numbers.range(1, 3000)])\nallow if count(concat(a, [a | some i in numbers.range(1, 3000)])) > 0",
    ];
    let all = failing.map(|text| format!("{}\n    {}", text.lines().last().unwrap(), answer(text)));
    assert_snapshot!(all.join("\n"), @r#"
allow if startswith(input.scopes, "a")
    deny error [authz.rego:2: `startswith`: expects string argument. Got `["agents:read"]` instead]
allow if not startswith(input.scopes, "a")
    deny error [authz.rego:2: `startswith`: expects string argument. Got `["agents:read"]` instead]
allow := false if to_number(input.path) > 1
    deny error [authz.rego:3: `to_number`: could not parse string as number]
allow if to_number(input.path) > 1
    deny error [authz.rego:2: `to_number`: could not parse string as number]
allow if regex.match("(", input.path)
    deny error [authz.rego:2: `regex.match`: invalid regex]
allow if count([1 | some i in range; some j in range]) > 0
    deny error [authz.rego:3: stopped: it may take 1000000 instructions, 500 ms and 16 MiB]
allow if { some i in range; some j in range; i + j == -1 }
    deny error [authz.rego:3: stopped: it may take 1000000 instructions, 500 ms and 16 MiB]
allow if every i in range { every j in range { i + j > 0 } }
    deny error [authz.rego:3: stopped: it may take 1000000 instructions, 500 ms and 16 MiB]
allow if count({[i, j] | some i in range; some j in range}) > 0
    deny error [authz.rego:3: stopped: it may take 1000000 instructions, 500 ms and 16 MiB]
allow if count(numbers.range(1, 9000000000000000000)) > 0
    deny error [authz.rego:2: `numbers.range`: the result may be larger than 4194304 bytes]
allow if sprintf("%0999999999999d", [1]) != ""
    deny error [authz.rego:2: `sprintf`: the result may be larger than 4194304 bytes]
allow if count(concat(a, [a | some i in numbers.range(1, 3000)])) > 0
    deny error [authz.rego:3: `concat`: the result may be larger than 4194304 bytes]
"#);
}

#[test]
fn a_memory_hog_is_stopped() {
    let text = "hog := [x | some i in numbers.range(1, 60000); x := sprintf(\"%0800d\", [i])]\nallow if count(hog) == 60000";
    let answer = answer(text);
    assert_eq!(
        answer,
        "deny error [authz.rego:2: stopped: it may take 1000000 instructions, 500 ms and 16 MiB]"
    );
}

#[test]
fn time_is_the_questions() {
    assert_eq!(answer("allow if time.now_ns() == 1700000000000000000"), "allow");
}

#[test]
fn files_call_each_other_and_errors_name_the_right_one() {
    let authz = "package countersign.authz\n\nimport data.shared\nimport data.shared.paths as p\n\nallow if {\n\tshared.reader\n\tp.ends(input.path)\n}\n";
    let more = "package countersign.authz\n\nallow if data.shared.writer(input.scopes)\n";
    let shared = "package shared\n\nreader if \"agents:read\" in input.scopes\n\nwriter(scopes) if \"agents:write\" in scopes\n";
    let paths = "package shared.paths\n\n\n\nends(path) if endswith(path, \"/end\")\nends(path) if to_number(path) == 1\n";
    let files = [
        ("authz.rego", authz),
        ("more.rego", more),
        ("paths.rego", paths),
        ("shared.rego", shared),
    ];
    let authz = read(&files).unwrap().unwrap();
    assert_eq!(ask(&authz, "GET", "/a", "agents:write"), "allow");
    assert_eq!(ask(&authz, "GET", "/a", "tokens:read"), "deny policy_denied");
    assert_snapshot!(ask(&authz, "GET", "/end", "agents:read"), @"allow");
    let authz = read(&[
        files[0],
        files[1],
        files[3],
        ("paths.rego", &paths.replace("ends(path) if to_n", "# ")),
    ]);
    assert_eq!(ask(&authz.unwrap().unwrap(), "GET", "/end", "agents:read"), "allow");
    assert_snapshot!(faults(&files[..3]), @"not a usable policy directory; more.rego:3:10: Unknown function: 'data.shared.writer'");
    assert_snapshot!(faults(&[files[0], ("paths.rego", paths), ("shared.rego", "package shared\n\nreader if {\n\tx :=\n}")]), @"not a usable policy directory; shared.rego:4:7: expecting `}` while parsing set");
    assert_snapshot!(faults(&[files[0], ("paths.rego", paths), ("shared.rego", "package shared\n\nreader if nobody_knows(1)")]), @"not a usable policy directory; shared.rego:3:11: Unknown function: 'nobody_knows'");
}

#[test]
fn an_import_is_what_its_own_file_says() {
    let shared = (
        "shared.rego",
        "package shared\nreader if input.method == \"GET\"\nlimits := {\"/a\": 1}\nbroken := to_number(input.path)",
    );
    let asked = |rules: &str| {
        let text = package(rules);
        match read(&[("a.rego", &*text), shared]) {
            Ok(authz) => ask(&authz.unwrap(), "GET", "/a", "agents:read"),
            Err(error) => error.to_string(),
        }
    };
    // What else is in an imported package does not matter.
    assert_eq!(asked("import data.shared\nallow if shared.reader"), "allow");
    assert_eq!(asked("import data.shared as s\nallow if s.limits[input.path] == 1"), "allow");
    assert_eq!(asked("import data.shared\nallow if shared[\"reader\"]"), "allow");
    assert_eq!(asked("import data.shared.reader as may\nallow if may"), "allow");
    assert_eq!(asked("import input.method\nallow if method == \"GET\""), "allow");
    assert_eq!(
        asked(
            "import data.shared\nallow if \"shared.reader\" == concat(\".\", [\"shared\", \"reader\"]) # shared.reader\n"
        ),
        "allow"
    );
    assert_eq!(
        asked("import data.shared\nallow if f({\"reader\": false})\nf(shared) if shared.reader"),
        "deny policy_denied"
    );
    assert_snapshot!(asked("import data.shared\nallow if { some rule in [\"reader\"]; shared[rule] }"), @"not a usable policy directory; a.rego:3: a rule is named by a path that is only known when it runs: name it, or look a key up in an object");
    assert_snapshot!(asked("import data.shared\nallow if count(shared) > 1"), @"not a usable policy directory; a.rego:2: a rule is named by a path that is only known when it runs: name it, or look a key up in an object");
    let one = "package countersign.authz\nimport data.shared as s\nallow if s.reader";
    let other = "package countersign.authz\nimport data.other as s\nallow if s.reader";
    let third = "package other\nimport data.third as s\nreader if s.reader";
    assert_snapshot!(faults(&[("a.rego", one), ("b.rego", other), ("c.rego", third), shared]), @"not a usable policy directory; b.rego: another file of its package imports something else as `s`");
}

#[test]
fn rules_look_up_the_files_of_data() {
    let text = package(
        r#"allow if {
	some scope in data.scopes[concat(" ", [input.method, input.path])]
	scope in input.scopes
}
reason := data.words.reasons[0]"#,
    );
    let scopes = r#"{"GET /a": ["agents:read", "agents:write"]}"#;
    let words = r#"{"reasons": ["not_listed"], "number": 1.5, "none": null}"#;
    let files = [("a.rego", &*text), ("data/scopes.json", scopes), ("data/words.json", words)];
    let authz = read(&files).unwrap().unwrap();
    assert_eq!(ask(&authz, "GET", "/a", "agents:read"), "allow");
    assert_eq!(ask(&authz, "GET", "/a", "tokens:read"), "deny not_listed");
    assert_eq!(ask(&authz, "GET", "/b", "agents:read"), "deny not_listed");
    for (file, data) in [
        ("data/words.json", "{\"a\": 1,\n\"a\": 2}"),
        ("data/words.json", "{\n\n\"a\""),
        ("data/words.json", "1e400"),
        ("data/words.json", &"[".repeat(100_000)),
        ("data/words.json", &format!("\"{}\"", "a".repeat(9 << 20))),
        ("data/countersign.json", "{}"),
        ("data/two words.json", "{}"),
        ("data/.json", "{}"),
    ] {
        let said = faults(&[("a.rego", &text), (file, data)]);
        assert!(said.starts_with("not a usable policy directory; data"), "{file}: {said}");
    }
    assert_snapshot!(faults(&[("a.rego", &text), ("data/words.json", "{\n\n\"a\"")]), @"not a usable policy directory; data/words.json: EOF while parsing an object at line 3 column 3");
    assert_snapshot!(faults(&[("a.rego", &text), ("data/countersign.json", "{}")]), @"not a usable policy directory; data/countersign.json: a package begins with the name `countersign`, too");
}

#[test]
fn what_can_not_be_used_is_told_with_its_place() {
    let chain: String = (0..100).map(|i| format!("r{i} := r{}\n", i + 1)).collect();
    let texts = [
        "allow := true".to_owned(),
        "package other\nallow := true".to_owned(),
        package("deny := 1"),
        package("allow(_) := true"),
        package("allow := {"),
        package(
            "allow if http.send({\"method\": \"get\", \"url\": \"http://127.0.0.1\"}).status_code == 200",
        ),
        package("allow if rand.intn(\"a\", 5) == 1"),
        package("allow if uuid.rfc4122(\"a\")"),
        package("allow if opa.runtime()"),
        package("allow := true\nreason := crypto.sha256(input.path)"),
        package("allow if reason == \"x\"\nreason := \"x\" if allow"),
        package("allow if f(1)\nf(x) := f(x)"),
        package("allow if data.countersign.authz[input.method]\nGET := true"),
        package("allow := 1e2000000000"),
        package(&format!("allow := {}1{}", "[".repeat(400), "]".repeat(400))),
        package(&format!("{chain}r100 := true\nallow := r0")),
        package(&"# a line\n".repeat(30_000)),
        package(&format!("# {}", "a".repeat(300_000))),
        package("allow := \"\0\""),
    ];
    let all: Vec<String> = texts.iter().map(|text| faults(&[("a.rego", text)])).collect();
    assert_snapshot!(all.join("\n"), @r#"
not a usable policy directory; a.rego:1:1: expecting `package` Missing package declaration.
not a usable policy directory; *.rego: no file is of the package `countersign.authz`
not a usable policy directory; a.rego: has no rule `allow`
not a usable policy directory; a.rego: `allow` must be a rule, not a function
not a usable policy directory; a.rego:3:1: expecting expression
not a usable policy directory; a.rego:2:19: Unknown function: 'http.send'
not a usable policy directory; a.rego:2: `rand.intn` has no place in a decision
not a usable policy directory; a.rego:2:10: Unknown function: 'uuid.rfc4122'
not a usable policy directory; a.rego:2:10: Unknown function: 'opa.runtime'
not a usable policy directory; a.rego:3:24: Unknown function: 'crypto.sha256'
not a usable policy directory; a.rego: rules call each other in a circle, or more than 64 deep
not a usable policy directory; a.rego: rules call each other in a circle, or more than 64 deep
not a usable policy directory; a.rego: Compilation error: Compile-time recursion detected in rule call chain: data.countersign.authz.allow -> data.countersign.authz.allow
not a usable policy directory; a.rego:3: an exponent of more than 3 digits
not a usable policy directory; a.rego:3: brackets stand more than 10 deep within each other
not a usable policy directory; a.rego: rules call each other in a circle, or more than 64 deep
not a usable policy directory; a.rego:1: a file may be 262144 bytes long; this is 270027
not a usable policy directory; a.rego:1: a file may be 262144 bytes long; this is 300029
not a usable policy directory; a.rego:1: holds a NUL character
"#);
    let lines = format!("package a\n{}", "\n".repeat(15_000));
    assert_snapshot!(faults(&[("a.rego", &lines), ("b.rego", &lines)]), @"not a usable policy directory; a.rego: all files together may have 20000 lines");
}
