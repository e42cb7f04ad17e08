//! Policies that OPA compiled: what they see and answer, how they are kept within bounds, that one question knows
//! nothing of another, and what is refused when they are read.

mod module;

use std::time::{Duration, Instant};

use countersign_policy::authz::Asked;
use countersign_policy::{Authz, Permissions};
use insta::assert_snapshot;

use self::module::{Parts, base64};
use super::{NOW, ask, read, told};

const MODULE: &str = "authz.wasm";
const ALLOW: &str = r#"<[{"result":{"allow":true}}]>"#;

fn of(parts: &Parts<'_>, body: &str) -> Authz {
    read(&[(MODULE, &base64(&parts.bytes(body)))]).unwrap().unwrap()
}

fn module(body: &str) -> Authz {
    of(&Parts::default(), body)
}

/// Why a module is not usable.
fn fault(bytes: &[u8]) -> String {
    let error = read(&[(MODULE, &base64(bytes))]).unwrap_err().to_string();
    error.strip_prefix("not a usable policy directory; ").unwrap().to_owned()
}

fn fault_of(parts: &Parts<'_>) -> String {
    fault(&parts.bytes(ALLOW))
}

fn get(authz: &Authz) -> String {
    ask(authz, "GET", "/a", "agents:read")
}

/// What a module answers that allows only `DELETE`, and does `body` for everything else.
#[expect(
    clippy::disallowed_methods,
    reason = "that an endless module ends is a matter of real time"
)]
fn stops(parts: &Parts<'_>, body: &str) -> String {
    let authz =
        of(parts, &format!(r#"(if (call $has <"DELETE">) (then (return {ALLOW}))) {body}"#));
    let begun = Instant::now();
    let answer = get(&authz);
    assert!(begun.elapsed() < Duration::from_secs(10), "{body}: {:?}", begun.elapsed());
    for _ in 0..3 {
        assert_eq!(ask(&authz, "DELETE", "/a", ""), "allow", "after {body}");
        assert_eq!(get(&authz), answer, "again {body}");
    }
    answer
}

fn gives(result: &str) -> String {
    get(&module(&format!("<{result}>")))
}

#[test]
fn a_module_allows_and_denies_by_what_it_is_asked() {
    let authz = module(
        r#"(if (i32.and (call $has <"method":"GET">) (call $has <"agents:read">))
             (then (return <[{"result":{"allow":true,"more":[1,{"a":null}]}}]>)))
           (if (call $has <"path":"/secret">) (then (return <[]>)))
           <[{"result":{"allow":false,"reason":"reading_only"}}]>"#,
    );
    assert_eq!(authz.form(), "wasm");
    assert_eq!(ask(&authz, "GET", "/a", "agents:read"), "allow");
    assert_eq!(ask(&authz, "GET", "/a", "tokens:read"), "deny reading_only");
    assert_eq!(ask(&authz, "POST", "/a", "agents:read"), "deny reading_only");
    assert_eq!(ask(&authz, "POST", "/secret", "agents:read"), "deny policy_denied");
}

#[test]
fn a_module_sees_the_whole_question_and_nothing_else() {
    let exactly = |input: &str| {
        module(&format!(
            "(if (call $begins (global.get $in) <{input}>) (then (return {ALLOW}))) <[]>"
        ))
    };
    let authz = exactly(
        r#"{"method":"GET","path":"/a","scopes":["a:b","c:d"],"agentId":"agent-1","roles":["worker"],"tenant":"acme"}"#,
    );
    assert_eq!(ask(&authz, "GET", "/a", "a:b c:d"), "allow");
    assert_eq!(ask(&authz, "GET", "/a", "a:b"), "deny policy_denied");
    let authz = exactly(
        r#"{"method":"GET","path":"/\"\\","scopes":[],"agentId":null,"roles":[],"tenant":"acme"}"#,
    );
    let scopes = Permissions::default();
    let asked = Asked {
        method: "GET",
        path: "/\"\\",
        scopes: &scopes,
        agent: None,
        roles: &[],
        tenant: "acme",
    };
    assert_eq!(told(&authz.ask(&asked, NOW)), "allow");
}

#[test]
fn only_true_allows() {
    assert_eq!(gives(r#"[{"result":{"allow":true,"reason":"whatever"}}]"#), "allow");
    assert_eq!(gives(r#"[{"result":{"allow":false}}]"#), "deny policy_denied");
    assert_eq!(gives(r#"[{"result":{}}]"#), "deny policy_denied");
    assert_eq!(gives(r#"[{"result":{"allow":null}}]"#), "deny policy_denied");
    assert_eq!(gives("[]"), "deny policy_denied");
    for other in ["1", "\"true\"", "[true]", "{\"allow\":true}"] {
        let answer = gives(&format!("[{{\"result\":{{\"allow\":{other}}}}}]"));
        assert_eq!(answer, "deny error [authz.wasm: `allow` must be true or false]", "{other}");
    }
}

#[test]
fn what_is_no_result_denies() {
    assert_snapshot!(gives("it is fine"), @"deny error [authz.wasm: its result can't be read: expected value at line 1 column 1]");
    assert_snapshot!(gives(""), @"deny error [authz.wasm: its result can't be read: EOF while parsing a value at line 1 column 0]");
    assert_snapshot!(gives("true"), @"deny error [authz.wasm: its result can't be read: invalid type: boolean `true`, expected a sequence at line 1 column 4]");
    assert_snapshot!(gives(r#"[{"allow":true}]"#), @"deny error [authz.wasm: its result can't be read: missing field `result` at line 1 column 15]");
    assert_snapshot!(gives(r#"[{"result":true}]"#), @"deny error [authz.wasm: its result can't be read: invalid type: boolean `true`, expected struct Package at line 1 column 15]");
    assert_snapshot!(gives(r#"[{"result":{"allow":true,"allow":true}}]"#), @"deny error [authz.wasm: its result can't be read: duplicate field `allow` at line 1 column 32]");
    assert_snapshot!(gives(r#"[{"result":{"allow":true}},{"result":{"allow":true}}]"#), @"deny error [authz.wasm: it gives more than one result]");
    assert_snapshot!(gives(r#"[{"result":{"allow":true}}] and more"#), @"deny error [authz.wasm: its result can't be read: trailing characters at line 1 column 29]");
    assert_snapshot!(gives(&format!("{}1{}", "[".repeat(4_000), "]".repeat(4_000))), @"deny error [authz.wasm: its result can't be read: recursion limit exceeded at line 1 column 128]");
    assert_snapshot!(get(&module("(i32.const -16)")), @"deny error [authz.wasm: stopped: it gave an address outside of its memory]");
    assert_snapshot!(get(&module("(i32.const 0x7fffffff)")), @"deny error [authz.wasm: stopped: it gave an address outside of its memory]");
    // Nothing but ones up to the end of the memory.
    assert_snapshot!(get(&module(
        "(memory.fill (i32.const 65536) (i32.const 49) (i32.const 65536)) (i32.const 65536)"
    )), @"deny error [authz.wasm: stopped: it gave a text without an end, or of more than 1048576 bytes]");
    let long = "(drop (memory.grow (i32.const 64))) (memory.fill (i32.const 131072) (i32.const 32) (i32.const 4000000)) (i32.const 131072)";
    assert_snapshot!(get(&module(long)), @"deny error [authz.wasm: stopped: it gave a text without an end, or of more than 1048576 bytes]");
}

#[test]
fn a_reason_is_one_word() {
    let with = |reason: &str| gives(&format!("[{{\"result\":{{\"reason\":{reason}}}}}]"));
    assert_eq!(with("\"lacks:agents.read\""), "deny lacks:agents.read");
    assert_eq!(with(&format!("\"{}\"", "r".repeat(64))), format!("deny {}", "r".repeat(64)));
    let told = "deny policy_denied [authz.wasm: `reason` must be one word of 1 to 64 letters, digits, `_`, `-`, `:` or `.`]";
    for other in ["\"\"", "\"two words\"", "7", "[\"a\"]", &format!("\"{}\"", "r".repeat(65))] {
        assert_eq!(with(other), told, "{other}");
    }
}

#[test]
fn the_rule_alone_is_asked_where_the_package_is_no_entry_point() {
    let body = r#"(if (i32.eq (local.get $entry) (i32.const 1)) (then
        (if (call $has <"GET">) (then (return <[{"result":true}]>)))
        (if (call $has <"PUT">) (then (return <[]>)))
        (if (call $has <"POST">) (then (return <[{"result":"true"}]>)))
        (return <[{"result":false}]>)))
      <[{"result":{"allow":true}}]>"#;
    let entrypoints = r#"{"other":0,"countersign/authz/allow":1}"#;
    let authz = of(&Parts { entrypoints, ..Parts::default() }, body);
    assert_eq!(ask(&authz, "GET", "/", ""), "allow");
    assert_eq!(ask(&authz, "PUT", "/", ""), "deny policy_denied");
    assert_eq!(
        ask(&authz, "POST", "/", ""),
        "deny error [authz.wasm: `allow` must be true or false]"
    );
    assert_eq!(ask(&authz, "DELETE", "/", ""), "deny policy_denied");
    let entrypoints = r#"{"countersign/authz":0,"countersign/authz/allow":1}"#;
    assert_eq!(ask(&of(&Parts { entrypoints, ..Parts::default() }, body), "PUT", "/", ""), "allow");
}

#[test]
fn data_is_given_as_for_rules_and_tells_modules_apart() {
    let bytes = base64(&Parts::default().bytes(&format!(
        r#"(if (call $holds (local.get $data) <"teams":["blue"]>) (then (return {ALLOW}))) <[]>"#
    )));
    let with = |data: &[(&str, &str)]| read(&[&[(MODULE, &*bytes)], data].concat());
    let (blue, red) = (
        with(&[("data/teams.json", "[\"blue\"]"), ("data/a.json", "1")]).unwrap().unwrap(),
        with(&[("data/teams.json", "[\"red\"]")]).unwrap().unwrap(),
    );
    assert_eq!((get(&blue), get(&red)), ("allow".to_owned(), "deny policy_denied".to_owned()));
    assert_ne!(blue.digest(), red.digest());
    assert_ne!(module(ALLOW).digest(), module("<[]>").digest());
    assert_snapshot!(with(&[("data/teams.json", "{")]).unwrap_err(), @"not a usable policy directory; data/teams.json: EOF while parsing an object at line 1 column 1");
    // It comes before rules, whatever they say.
    assert_eq!(with(&[("authz.rego", "nonsense")]).unwrap().unwrap().form(), "wasm");
    // Some megabytes of it are still there at the next question.
    let bytes = base64(&Parts::default().bytes(&format!(
        r#"(if (call $begins (local.get $data) <{{"all":[1,1>) (then (return {ALLOW}))) <[]>"#
    )));
    let large = format!("[{}1]", "1,".repeat(3 << 20));
    let authz = read(&[(MODULE, &bytes), ("data/all.json", &large)]).unwrap().unwrap();
    assert_eq!((get(&authz), get(&authz)), ("allow".to_owned(), "allow".to_owned()));
}

#[test]
fn what_runs_away_is_stopped_and_the_next_question_answered() {
    let plain = Parts::default();
    assert_snapshot!(stops(&plain, "(loop $on (br $on)) (unreachable)"), @"deny error [authz.wasm: stopped: it may take 50000000 instructions and 16 MiB besides its data]");
    assert_snapshot!(stops(&plain, "(loop $on (drop (memory.grow (i32.const 1))) (br $on)) (unreachable)"), @"deny error [authz.wasm: stopped: it may take 50000000 instructions and 16 MiB besides its data]");
    assert_snapshot!(stops(&plain, "(call $malloc (i32.const 100000000))"), @"deny error [authz.wasm: stopped: it may take 50000000 instructions and 16 MiB besides its data]");
    assert_snapshot!(stops(&plain, "(loop $on (call $print <noise>) (br $on)) (unreachable)"), @"deny error [authz.wasm: stopped: it may take 50000000 instructions and 16 MiB besides its data]");
    assert_snapshot!(stops(&plain, "(loop $on (drop (memory.grow (i32.const 0))) (br $on)) (unreachable)"), @"deny error [authz.wasm: stopped: it may take 50000000 instructions and 16 MiB besides its data]");
    assert_snapshot!(stops(&plain, "(loop $on (memory.fill (i32.const 65536) (i32.const 0) (i32.const 60000)) (br $on)) (unreachable)"), @"deny error [authz.wasm: stopped: it may take 50000000 instructions and 16 MiB besides its data]");
    let deep = Parts { more: "(func $deep (call $deep) (call $deep))", ..Parts::default() };
    assert_snapshot!(stops(&deep, "(call $deep) (i32.const 0)"), @"deny error [authz.wasm: stopped: wasm trap: call stack exhausted]");
}

#[test]
fn what_fails_denies_and_the_next_question_is_answered() {
    let plain = Parts::default();
    assert_snapshot!(stops(&plain, "(unreachable)"), @"deny error [authz.wasm: stopped: wasm trap: wasm `unreachable` instruction executed]");
    assert_snapshot!(stops(&plain, "(call $abort <authz.rego:3: a conflict>) (unreachable)"), @"deny error [authz.wasm: stopped: it gave up: authz.rego:3: a conflict]");
    assert_snapshot!(stops(&plain, "(call $abort (i32.const -1)) (unreachable)"), @"deny error [authz.wasm: stopped: it gave up: ]");
    assert_snapshot!(stops(&plain, "(i32.load (i32.const -8))"), @"deny error [authz.wasm: stopped: wasm trap: out of bounds memory access]");
    assert_snapshot!(stops(&plain, "(i32.div_u (i32.const 1) (i32.const 0))"), @"deny error [authz.wasm: stopped: wasm trap: integer divide by zero]");
    assert_snapshot!(stops(&plain, "(call $call0 (i32.const 7) (i32.const 0))"), @"deny error [authz.wasm: stopped: no function has number 7]");
}

#[test]
fn nothing_is_kept_from_one_question_to_the_next() {
    // In a variable, in memory that is its own, and in memory that it takes.
    for body in [
        "(global.set $count (i32.add (global.get $count) (i32.const 1)))
         (if (i32.gt_u (global.get $count) (i32.const 1)) (then (return <[]>)))",
        "(if (i32.load (i32.const 60000)) (then (return <[]>)))
         (i32.store (i32.const 60000) (i32.const 1))",
        "(if (i32.load (i32.const 120000)) (then (return <[]>)))
         (i32.store (i32.const 120000) (i32.const 1))",
        "(if (i32.lt_u (memory.size) (i32.const 9)) (then (drop (memory.grow (i32.const 7)))))
         (if (i32.load (i32.const 500000)) (then (return <[]>)))
         (i32.store (i32.const 500000) (i32.const 1))",
        "(i32.store8 (local.get $data) (i32.add (i32.load8_u (local.get $data)) (i32.const 1)))
         (if (i32.ne (i32.load8_u (local.get $data)) (i32.const 124)) (then (return <[]>)))",
    ] {
        let authz = module(&format!("{body} {ALLOW}"));
        for round in 0..5 {
            assert_eq!(get(&authz), "allow", "round {round}: {body}");
        }
    }
    let own = Parts { more: "(memory $own 1)", ..Parts::default() };
    assert!(fault(&own.bytes(ALLOW)).contains("multiple memories"));
    let more = "(table $t 2 funcref) (elem (i32.const 0) $has) (elem $e func $has)";
    let parts = Parts { more, ..Parts::default() };
    let body = format!("(table.init $t $e (i32.const 1) (i32.const 0) (i32.const 1)) {ALLOW}");
    assert_snapshot!(fault(&parts.bytes(&body)), @"authz.wasm: has an instruction that OPA's modules don't, and that would be seen by the next question: TableInit { elem_index: 1, table: 0 }");
    assert_snapshot!(fault(&parts.bytes(&format!("(elem.drop $e) {ALLOW}"))), @"authz.wasm: has an instruction that OPA's modules don't, and that would be seen by the next question: ElemDrop { elem_index: 1 }");
}

#[test]
fn a_long_question_does_not_run_into_what_is_free() {
    let authz = module(&format!(
        r#"(if (call $has <"last:one"],"agentId">) (then (return {ALLOW}))) <[]>"#
    ));
    let path = format!("/{}", "a".repeat(200_000));
    assert_eq!(ask(&authz, "GET", &path, "first:one last:one"), "allow");
    assert_eq!(ask(&authz, "GET", &path, "first:one"), "deny policy_denied");
    assert_eq!(ask(&authz, "GET", "/", "first:one last:one"), "allow");
}

#[test]
fn many_threads_share_one_module() {
    let authz = module(&format!(
        r#"(if (call $has <"a:read">) (then (return {ALLOW}))) (if (call $has <"c:read">) (then (unreachable))) <[]>"#
    ));
    std::thread::scope(|threads| {
        for thread in 0..4 {
            let authz = &authz;
            threads.spawn(move || {
                for round in 0..1_000 {
                    let (scope, wanted) = match (thread + round) % 3 {
                        0 => ("a:read", "allow"),
                        1 => ("b:read", "deny policy_denied"),
                        _ => ("c:read", "deny error"),
                    };
                    let answer = ask(authz, "GET", "/a/1", scope);
                    assert!(answer.starts_with(wanted), "{scope}: {answer}");
                }
            });
        }
    });
}

#[test]
fn time_is_that_of_the_decision() {
    let parts = Parts { builtins: r#"{"time.now_ns":4}"#, ..Parts::default() };
    let body = format!(
        "(if (call $begins (call $call0 (i32.const 4) (i32.const 0)) <1700000000000000000>) (then (return {ALLOW}))) <[]>"
    );
    let authz = of(&parts, &body);
    assert_eq!(get(&authz), "allow");
    let scopes = Permissions::default();
    let asked = Asked {
        method: "GET",
        path: "/",
        scopes: &scopes,
        agent: None,
        roles: &[],
        tenant: "acme",
    };
    assert_eq!(told(&authz.ask(&asked, NOW + 1)), "deny policy_denied");
}

#[test]
fn functions_of_the_host_are_those_of_rules() {
    let builtins = r#"{"sprintf":1,"semver.compare":2,"regex.split":3,"time.weekday":5,"time.parse_rfc3339_ns":6}"#;
    let parts = Parts { builtins, ..Parts::default() };
    let calls = |call: &str, result: &str| {
        let authz = of(
            &parts,
            &format!("(if (call $begins {call} <{result}>) (then (return {ALLOW}))) <[]>"),
        );
        get(&authz)
    };
    let two = |number: u8, one: &str, other: &str| {
        format!("(call $call2 (i32.const {number}) (i32.const 0) <{one}> <{other}>)")
    };
    assert_eq!(
        calls(&two(1, r#""%s of %d, %v""#, r#"["one",2,true]"#), r#""one of 2, true""#),
        "allow"
    );
    assert_eq!(calls(&two(2, r#""1.2.3""#, r#""1.10.0""#), "-1"), "allow");
    assert_eq!(calls(&two(3, r#""/""#, r#""a/b""#), r#"["a","b"]"#), "allow");
    assert_eq!(
        calls("(call $call1 (i32.const 5) (i32.const 0) <1700000000000000001>)", r#""Tuesday""#),
        "allow"
    );
    assert_snapshot!(calls(&two(2, r#""1.2.3""#, "\"no version\""), "0"), @"deny error [authz.wasm: stopped: semver.compare:2: `semver.compare`: invalid semver]");
    assert_snapshot!(calls(&two(2, r#""1.2.3""#, "no json"), "0"), @"deny error [authz.wasm: stopped: `semver.compare`: expected ident at line 1 column 2]");
    assert_snapshot!(calls("(call $call1 (i32.const 2) (i32.const 0) <1>)", "0"), @"deny error [authz.wasm: stopped: `semver.compare`: has 2 arguments, not 1]");
    // Far more than it is given is not what it gives.
    assert_snapshot!(calls(&two(1, r#""%1000000000d""#, "[1]"), "0"), @"deny error [authz.wasm: stopped: sprintf:2: `sprintf`: the result may be larger than 4194304 bytes]");
    // Each byte that goes in or out counts.
    assert_snapshot!(calls(&two(1, r#""%600000d""#, "[1]"), "0"), @"deny error [authz.wasm: stopped: it may take 50000000 instructions and 16 MiB besides its data]");
    assert_snapshot!(stops(&parts, &format!("(loop $on (drop {}) (br $on)) (unreachable)", two(2, "\"1.0.0\"", "\"1.0.0\""))), @"deny error [authz.wasm: stopped: it may take 50000000 instructions and 16 MiB besides its data]");
}

#[test]
fn what_is_not_known_or_not_the_same_twice_is_no_function_of_the_host() {
    for name in [
        "http.send",
        "opa.runtime",
        "rand.intn",
        "uuid.rfc4122",
        "net.lookup_ip_addr",
        "io.jwt.decode_verify",
        "custom.mine",
        "",
        "x) }",
        "print",
        // They give sets, or may: through JSON they would be lists, in which a module finds nothing.
        "net.cidr_expand",
        "json.patch",
    ] {
        let builtins = format!("{{\"time.now_ns\":1,\"{name}\":2}}");
        let said = fault_of(&Parts { builtins: &builtins, ..Parts::default() });
        assert!(said.starts_with(&format!("authz.wasm: calls `{name}`, which")), "{name}: {said}");
    }
    let builtins = r#"{"http.send":1,"rand.intn":2,"sprintf":3}"#;
    assert_snapshot!(fault_of(&Parts { builtins, ..Parts::default() }), @"authz.wasm: calls `http.send`, `rand.intn`, which rules can't call here: not known, not bounded, not the same when it is asked again, or about sets");
    let many: Vec<String> = (0..65).map(|number| format!("\"f{number}\":{number}")).collect();
    let builtins = format!("{{{}}}", many.join(","));
    assert_snapshot!(fault_of(&Parts { builtins: &builtins, ..Parts::default() }), @"authz.wasm: calls 65 functions of its host; 64 may be");
    for builtins in ["[]", "{\"sprintf\":\"one\"}", "nothing"] {
        assert!(
            fault_of(&Parts { builtins, ..Parts::default() }).contains("its `builtins`"),
            "{builtins}"
        );
    }
}

#[test]
fn what_is_no_module_of_opas_is_refused() {
    let plain = Parts::default();
    let of = |version| fault_of(&Parts { version, ..Parts::default() });
    assert_snapshot!(of((2, 0)), @"authz.wasm: is of OPA's interface 2.0; 1.2 and later 1.x can be run: `opa build -t wasm -e countersign/authz`, then take policy.wasm out of bundle.tar.gz as authz.wasm");
    assert_snapshot!(of((1, 1)), @"authz.wasm: is of OPA's interface 1.1; 1.2 and later 1.x can be run: `opa build -t wasm -e countersign/authz`, then take policy.wasm out of bundle.tar.gz as authz.wasm");
    assert_snapshot!(fault_of(&Parts { entrypoints: r#"{"other/allow":0,"example":1}"#, ..Parts::default() }), @"authz.wasm: has no entry point `countersign/authz` or `countersign/authz/allow`, but `example`, `other/allow`: `opa build -t wasm -e countersign/authz`, then take policy.wasm out of bundle.tar.gz as authz.wasm");
    assert_snapshot!(fault_of(&Parts { entrypoints: "{}", ..Parts::default() }), @"authz.wasm: has no entry point `countersign/authz` or `countersign/authz/allow`, but none: `opa build -t wasm -e countersign/authz`, then take policy.wasm out of bundle.tar.gz as authz.wasm");
    let imports = r#"(import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))"#;
    assert_snapshot!(fault_of(&Parts { imports, ..Parts::default() }), @"authz.wasm: imports `fd_write` of `wasi_snapshot_preview1`, which OPA's modules don't: compile it with `opa build -t wasm`");
    let imports = r#"(import "env" "opa_builtin5" (func (param i32 i32) (result i32)))"#;
    assert_snapshot!(fault_of(&Parts { imports, ..Parts::default() }), @"authz.wasm: imports `opa_builtin5` of `env`, which OPA's modules don't: compile it with `opa build -t wasm`");
    let imports = r#"(import "env" "opa_builtin3" (func (param i64)))"#;
    assert_snapshot!(fault_of(&Parts { imports, ..Parts::default() }), @"authz.wasm: stopped: types incompatible: expected type `(func (param i64))`, found type `(func (param i32 i32 i32 i32 i32) (result i32))`");
    assert_snapshot!(fault_of(&Parts { memory: "5000", ..Parts::default() }), @"authz.wasm: stopped: it may take 50000000 instructions and 16 MiB besides its data");
    assert_snapshot!(fault_of(&Parts { more: "(func $begin (loop $on (br $on))) (start $begin)", ..Parts::default() }), @"authz.wasm: stopped: it may take 50000000 instructions and 16 MiB besides its data");
    assert_snapshot!(fault(&wat::parse_str("(module)").unwrap()), @"authz.wasm: exports nothing: OPA's modules do");
    assert_snapshot!(fault(&wat::parse_str(r#"(module (import "env" "memory" (memory 1)) (func (export "opa_eval")))"#).unwrap()), @"authz.wasm: does not export opa_malloc, opa_free, opa_json_parse, opa_json_dump, opa_heap_ptr_get, entrypoints, builtins, opa_wasm_abi_version: it must be compiled by OPA 0.35 or later, with `opa build -t wasm`");
    assert_snapshot!(fault(&wat::parse_str(r#"(module (memory (export "memory") 1))"#).unwrap()), @"authz.wasm: imports no memory: OPA's modules do");
    assert_snapshot!(fault(b""), @"authz.wasm: is no WebAssembly module: `opa build -t wasm -e countersign/authz`, then take policy.wasm out of bundle.tar.gz as authz.wasm");
    assert_snapshot!(fault(b"package countersign.authz"), @"authz.wasm: is no WebAssembly module: `opa build -t wasm -e countersign/authz`, then take policy.wasm out of bundle.tar.gz as authz.wasm");
    assert_snapshot!(fault(plain.wat(ALLOW).as_bytes()), @"authz.wasm: is no WebAssembly module: `opa build -t wasm -e countersign/authz`, then take policy.wasm out of bundle.tar.gz as authz.wasm");
    assert_snapshot!(fault(&vec![0; 10 << 20]), @"authz.wasm: may be 8388608 bytes long");
    assert_snapshot!(read(&[(MODULE, "no Base64!")]).unwrap_err(), @"not a usable policy directory; authz.wasm: is no Base64: Invalid symbol 32, offset 2.");
}

#[test]
fn a_module_that_is_cut_off_or_changed_is_refused_or_answers() {
    let whole = Parts::default().bytes(ALLOW);
    for end in (8..whole.len()).step_by(7) {
        fault(&whole[..end]);
    }
    for at in (8..whole.len()).step_by(31) {
        for flip in [0x01, 0xff] {
            let mut changed = whole.clone();
            changed[at] ^= flip;
            if let Ok(Some(authz)) = read(&[(MODULE, &base64(&changed))]) {
                get(&authz);
            }
        }
    }
}
