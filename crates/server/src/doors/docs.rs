//! `/docs`: the description of the API as a page, made here without scripts or anything from
//! elsewhere.

use std::fmt::Write as _;
use std::sync::LazyLock;

use http::{HeaderName, HeaderValue, header};
use serde_json::Value;

use super::openapi;

const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
/// Styles only, and those from the page itself.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'",
);
const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:56rem;margin:2rem auto;padding:0 1rem}\
    code{font-size:.95em}h2{margin-top:2.5rem;border-bottom:1px solid #ccc}\
    dt{margin-top:1.2rem}b{display:inline-block;min-width:4.5rem}dd{margin:.2rem 0 0 4.5rem;color:#444}\
    @media(prefers-color-scheme:dark){body{background:#111;color:#ddd}dd{color:#aaa}a{color:#8cf}}";

/// `GET /docs`.
pub async fn serve() -> ([(HeaderName, HeaderValue); 3], &'static str) {
    static PAGE: LazyLock<String> = LazyLock::new(page);
    let headers = [
        (header::CONTENT_TYPE, HTML),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    (headers, &PAGE)
}

fn page() -> String {
    let document: Value = serde_json::from_str(openapi::document()).unwrap_or_default();
    let mut page = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><title>Countersign API</title>\
         <meta name=viewport content=\"width=device-width\"><style>{STYLE}</style>\
         <h1>Countersign API</h1><p>{} The exact shapes are in \
         <a href=/openapi.json><code>/openapi.json</code></a>.</p>",
        escaped(&document["info"]["description"])
    );
    let operations = operations(&document);
    let mut tags: Vec<&str> = operations.iter().map(|one| one.tag).collect();
    tags.dedup();
    for tag in tags {
        // Writing to a string does not fail.
        let _ = write!(page, "<h2>{}</h2><dl>", escaped(&tag.into()));
        for one in operations.iter().filter(|one| one.tag == tag) {
            let _ = write!(
                page,
                "<dt><b>{}</b> <code>{}</code></dt><dd>{}</dd>",
                one.method.to_uppercase(),
                escaped(&one.path.into()),
                escaped(&one.text.clone().into())
            );
        }
        page.push_str("</dl>");
    }
    page
}

struct Operation<'d> {
    tag: &'d str,
    method: &'d str,
    path: &'d str,
    text: String,
}

fn operations(document: &Value) -> Vec<Operation<'_>> {
    let mut found = Vec::new();
    for (path, methods) in document["paths"].as_object().into_iter().flatten() {
        for (method, operation) in methods.as_object().into_iter().flatten() {
            let text = |name: &str| operation[name].as_str().unwrap_or_default();
            let tag = operation["tags"][0].as_str().unwrap_or("other");
            let text = format!("{} {}", text("summary"), text("description"));
            found.push(Operation { tag, method, path, text });
        }
    }
    found.sort_by_key(|one| (one.tag, one.path));
    found
}

fn escaped(text: &Value) -> String {
    let text = text.as_str().unwrap_or_default();
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
