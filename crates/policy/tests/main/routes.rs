//! The route table: which route answers, what is ambiguous, what is no table; and a second search that goes
//! through a list.

use countersign_policy::Routes;
use countersign_policy::routes::{Found, Needs, Refusal};
use proptest::prelude::RngExt as _;
use proptest::test_runner::{RngAlgorithm, TestRng};
use serde_json::{Value, json};

fn table(routes: Value) -> Routes {
    Routes::parse(&json!({"routes": routes}).to_string()).unwrap()
}

/// The route's place, or why it is refused.
fn found(routes: &Routes, method: &str, host: &str, target: &str) -> String {
    match routes.find(method, host, target) {
        Found::Route(route) => route.at.to_string(),
        Found::Passes => "passes".into(),
        Found::Refused(refusal, _) => refusal.reason().to_string(),
    }
}

#[track_caller]
fn gives(routes: &Routes, expected: &[(&str, &str)]) {
    for (target, route) in expected {
        let (method, target) = target.split_once(' ').unwrap_or(("GET", target));
        assert_eq!(found(routes, method, "example.org", target), *route, "{target}");
    }
}

#[test]
fn the_most_specific_path_wins_then_the_host_then_the_method() {
    let routes = table(json!([
        {"path": "/*", "callers": ["*"]},
        {"path": "/a/*", "callers": ["*"]},
        {"path": "/a/{name}", "callers": ["*"]},
        {"path": "/a/b", "methods": ["GET"], "callers": ["*"]},
        {"path": "/a/b", "methods": ["PUT", "POST"], "callers": ["*"]},
        {"path": "/a/{id}/c", "callers": ["*"]},
        {"path": "/a/b/*", "host": "example.org", "callers": ["*"]},
        {"path": "/a/b/*", "callers": ["*"]},
        {"path": "/m", "methods": ["GET"], "public": true},
        {"path": "/m", "callers": ["*"]},
    ]));
    gives(
        &routes,
        &[
            ("/", "/routes/0"),
            ("/x?y=/../a/b", "/routes/0"),
            ("/a", "/routes/1"),
            ("/a/", "/routes/1"),
            ("/ab", "/routes/0"),
            ("/A", "/routes/0"),
            ("/a/x", "/routes/2"),
            ("/a/x/", "/routes/1"),
            ("/a/b", "/routes/3"),
            ("POST /a/b", "/routes/4"),
            ("DELETE /a/b", "method_not_listed"),
            ("HEAD /a/b", "method_not_listed"),
            // The first segment that differs decides.
            ("/a/b/c", "/routes/6"),
            ("/a/x/c", "/routes/5"),
            ("/m", "/routes/8"),
            ("POST /m", "/routes/9"),
        ],
    );
    for (host, route) in [
        ("example.org:8443", "/routes/6"),
        ("EXAMPLE.org", "/routes/6"),
        ("other.org", "/routes/7"),
        ("[::1]:80", "/routes/7"),
        ("127.0.0.1", "/routes/7"),
        ("example.org.", "ambiguous_host"),
        ("example.org:", "ambiguous_host"),
        ("example.org:1:2", "ambiguous_host"),
        ("user@example.org", "ambiguous_host"),
        ("exam ple.org", "ambiguous_host"),
        ("[::1", "ambiguous_host"),
        ("", "ambiguous_host"),
    ] {
        assert_eq!(found(&routes, "GET", host, "/a/b/c"), route, "{host}");
    }
}

#[test]
fn what_no_route_matches_follows_the_default() {
    let closed = Routes::none();
    assert_eq!(found(&closed, "GET", "h", "/"), "no_matching_rule");
    let open =
        Routes::parse(r#"{"default":"allow","routes":[{"path":"/a","callers":["*"]}]}"#).unwrap();
    gives(&open, &[("/", "passes"), ("/a", "/routes/0"), ("/a//", "ambiguous_path")]);
}

#[test]
fn a_target_that_can_be_read_in_two_ways_is_refused_whatever_the_default() {
    let open = r#"{"default":"allow","routes":[{"path":"/raw/*","raw":true,"callers":["*"]},
        {"path":"/a/*","callers":["*"]}]}"#;
    let routes = Routes::parse(open).unwrap();
    for rest in [
        "%2f",
        "%2F",
        "%5c",
        "%2e%2e/b",
        "%2E",
        "%3b",
        "%253B",
        "%2525",
        "%00",
        "%0a",
        "%",
        "%4",
        "%4g",
        "%c0%af",
        "%ff",
        "%61dmin",
        "%252e%252e",
        "%252f",
        "/",
        "/x//y",
        ".",
        "..",
        "./x",
        "../b",
        "x/..",
        "x/.",
        "x\\y",
        "x;y",
        "x#y",
        "x y",
        "\u{7f}",
        "ü",
        "\n",
    ] {
        assert_eq!(found(&routes, "GET", "h", &format!("/a/{rest}")), "ambiguous_path", "{rest}");
        assert_eq!(found(&routes, "GET", "h", &format!("/raw/{rest}")), "/routes/0", "{rest}");
        assert_eq!(
            found(&routes, "GET", "h", &format!("/else/{rest}")),
            "ambiguous_path",
            "{rest}"
        );
        let query = format!("/a/x?{rest}");
        assert_eq!(found(&routes, "GET", "h", &query), "/routes/1", "{query}");
    }
    for fine in
        ["...", "a..b", ".well-known", "%20", "%C3%A9", "%25x", "a%40b", "~", ":@!$&'()*+,="]
    {
        assert_eq!(found(&routes, "GET", "h", &format!("/a/{fine}")), "/routes/1", "{fine}");
    }
    for target in ["", "*", "a", "http://h/a/x", "h:80", "\\a", " /a/x"] {
        assert_eq!(found(&routes, "GET", "h", target), "ambiguous_path", "{target}");
    }
    for method in ["", "get", "Get", "GET ", "G\u{c9}T", "POST\n", "A".repeat(33).as_str()] {
        assert_eq!(found(&routes, method, "h", "/a/x"), "ambiguous_method", "{method}");
    }
}

#[test]
fn two_spellings_of_a_segment_are_one_segment() {
    let routes = table(json!([
        {"path": "/%C3%A9tude/a@b", "callers": ["operator"]},
        {"path": "/*", "callers": ["*"]},
    ]));
    gives(
        &routes,
        &[
            ("/%C3%A9tude/a@b", "/routes/0"),
            ("/%c3%a9tude/a%40b", "/routes/0"),
            ("/%C3%A9tude/a%40%40b", "/routes/1"),
        ],
    );
}

#[test]
fn a_capture_of_the_id_is_what_is_acted_on() {
    let routes = table(
        json!([{"path": "/npu/{kind}/{id}/*", "callers": ["*"]}, {"path": "/x/*", "callers": ["*"]}]),
    );
    let id = |target: &str| match routes.find("GET", "h", target) {
        Found::Route(route) => route.id(target).to_owned(),
        other => panic!("{other:?}"),
    };
    assert_eq!(id("/npu/gpu/42?x=1"), "42");
    assert_eq!(id("/npu/gpu/a%40b/c"), "a%40b");
    assert_eq!(id("/x/1"), "*");
}

#[test]
fn callers_are_kinds_and_names() {
    let agent = "0192f0e0-0000-7000-8000-000000000001";
    let everybody = [
        ("agent", agent),
        ("service", "npu"),
        ("operator", "npu"),
        ("machine", "machine"),
        ("service", agent),
    ];
    for (callers, admitted) in [
        (json!(["*"]), [true, true, true, true, true]),
        (json!(["agent", "machine"]), [true, false, false, true, false]),
        (json!(["npu"]), [false, true, false, false, false]),
        (json!([agent]), [true, false, false, false, false]),
        (json!(["operator:npu"]), [false, false, true, false, false]),
    ] {
        let routes = table(json!([{"path": "/", "callers": callers}]));
        let route = routes.iter().next().unwrap();
        let Needs::Caller(Some(callers), None) = &route.needs else { panic!("{route:?}") };
        assert_eq!(everybody.map(|(kind, id)| callers.admit(kind, id)), admitted, "{callers:?}");
    }
}

#[test]
fn what_is_no_table_is_told_with_its_places() {
    let faults = |text: &str| {
        let faults = Routes::parse(text).unwrap_err().0;
        faults.iter().map(|fault| format!("{fault}\n")).collect::<String>()
    };
    let routes = json!({"default": "maybe", "extra": 1, "routes": [
        {"path": "/a", "callers": ["*"], "wrong": []},
        {"path": "/b"},
        {"path": "/c", "public": true, "permission": "a:b"},
        {"path": "d", "public": true},
        {"path": "/e/*/f", "public": true},
        {"path": "/f*", "public": true},
        {"path": "/g/../h", "public": true},
        {"path": "/h", "public": true, "methods": ["get"]},
        {"path": "/i", "public": true, "host": "example.org:80"},
        {"path": "/j", "callers": ["user:x"], "guard": "a b"},
        {"path": "/k", "permission": "write"},
        {"path": "/l/{id}/{id}", "public": "yes"},
        {"path": "/m/{a}", "methods": ["GET", "PUT"], "public": true},
        {"path": "/m/{b}", "methods": ["PUT"], "callers": ["*"]},
        {"path": "/n", "callers": []},
        7,
    ]});
    insta::assert_snapshot!(faults(&routes.to_string()), @r#"
    /extra: is not a known member
    /default: must be `deny` or `allow`
    /routes/0/wrong: is not a known member
    /routes/1: says nothing of who may: give it `permission` or `callers`, or `"public": true`
    /routes/2: is public: then it takes neither `permission` nor `callers`
    /routes/3/path: must begin with `/`
    /routes/4/path: may have `*` as its last segment only
    /routes/5/path: takes `*` and `{name}` as whole segments, and no query
    /routes/6/path: has a segment of dots: no request gets there unless `raw`
    /routes/7/methods/0: must be one of methods of upper case letters
    /routes/8/host: must be a name or an address, without a port
    /routes/9/guard: must be a name of letters, digits, `_`, `-` and `.`, at most 64 long
    /routes/9/callers/0: must be one of `*`, `agent`, `service`, `operator`, `machine`, a service's or an agent's id, or `kind:id`
    /routes/10/permission: must be `resource:action`
    /routes/11/path: has two ids
    /routes/13: is for the same host, path and method as /routes/12
    /routes/14/callers: must be a list of 1 to 1000 of `*`, `agent`, `service`, `operator`, `machine`, a service's or an agent's id, or `kind:id`
    /routes/15: must be an object
    "#);
    insta::assert_snapshot!(faults("[]"), @"the text: must be an object");
    insta::assert_snapshot!(faults("{}"), @"/routes: must be a list of routes");
    assert!(faults(r#"{"routes":[],"routes":[]}"#).contains("routes"));
    let deep = format!(r#"{{"routes":[{{"path":"{}","public":true}}]}}"#, "/a".repeat(65));
    insta::assert_snapshot!(faults(&deep), @"/routes/0/path: may have 64 segments");
}

/// Whether a pattern matches, and how specific it is there: a mark for each segment.
fn matches(pattern: &str, path: &str) -> Option<String> {
    let (mut marks, mut path) = (String::new(), path.split('/').skip(1));
    for segment in pattern.split('/').skip(1) {
        match (segment, path.next()) {
            ("*", _) => return Some(marks + "a"),
            ("{x}", Some(given)) if !given.is_empty() => marks.push('b'),
            (literal, Some(given)) if literal == given => marks.push('c'),
            _ => return None,
        }
    }
    path.next().is_none().then(|| marks + "b")
}

#[test]
fn a_search_through_the_list_finds_the_same() {
    let mut random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut pick = |of: &[&str]| of[random.random_range(0..of.len())].to_owned();
    let (mut hits, mut misses) = (0, 0);
    for _ in 0..2_000 {
        let mut routes: Vec<(String, String, String)> = Vec::new();
        for _ in 0..8 {
            let mut path = String::new();
            for _ in 0..3 {
                path += &pick(&["/a", "/b", "/{x}", "/", ""]);
            }
            path += &pick(&["", "/*", "/a"]);
            let new = (path.clone(), pick(&["", "h"]), pick(&["GET", "PUT", ""]));
            if !path.is_empty() && !path.contains("//") && !routes.contains(&new) {
                routes.push(new);
            }
        }
        let listed: Vec<Value> = routes
            .iter()
            .map(|(path, host, method)| {
                let mut route = json!({"path": path, "public": true});
                if !host.is_empty() {
                    route["host"] = json!(host);
                }
                if !method.is_empty() {
                    route["methods"] = json!([method]);
                }
                route
            })
            .collect();
        let table = table(json!(listed));
        for _ in 0..50 {
            let mut path = String::new();
            for _ in 0..4 {
                path += &pick(&["/a", "/b", "/c", ""]);
            }
            path += &pick(&["", "/"]);
            let (path, host, method) = (
                if path.is_empty() { "/".to_owned() } else { path },
                pick(&["h", "o"]),
                pick(&["GET", "PUT", "POST"]),
            );
            let matching = routes.iter().enumerate().filter_map(|(at, (pattern, of, methods))| {
                let marks = matches(pattern, &path).filter(|_| of.is_empty() || *of == host)?;
                Some(((marks, !of.is_empty()), at, methods))
            });
            let matching: Vec<_> = matching.collect();
            let best = matching.iter().map(|(rank, ..)| rank).max();
            let named = |method: &str| {
                matching
                    .iter()
                    .find(|(rank, _, of)| Some(rank) == best && **of == method)
                    .map(|(_, at, _)| *at)
            };
            let expected = match (best, named(&method).or_else(|| named(""))) {
                (None, _) => Refusal::Unlisted.reason().to_string(),
                (_, None) => Refusal::Method.reason().to_string(),
                (_, Some(at)) => format!("/routes/{at}"),
            };
            if best.is_some() {
                hits += 1
            } else {
                misses += 1
            }
            assert_eq!(
                found(&table, &method, &host, &path),
                expected,
                "{method} {host}{path} in {listed:?}"
            );
        }
    }
    assert!(hits > 10_000 && misses > 10_000, "{hits} {misses}");
}
