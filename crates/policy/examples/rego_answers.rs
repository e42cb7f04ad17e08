//! Prints what policies answer, a line of JSON for each input, for `tests/rego/compare.py`.
//!
//!   rego_answers FOLDER
//!
//! A policy is `NAME.rego`, asked `NAME.inputs.json`; `NAME.*.rego` are further files of it, and each member of
//! `NAME.data.json` is a file of data.

#![expect(clippy::print_stdout, reason = "what it is for")]

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::{env, fs};

use countersign_policy::authz::{Answer, Asked};
use countersign_policy::{
    Authz, Form, Holder, Json, Matrix, Packages, Permissions, Policies, Question,
};
use serde_json::{Value, json};

/// Rules take this for now.
const NOW: i64 = 1_700_000_000_000_000;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = env::args().nth(1).ok_or("usage: rego_answers FOLDER")?;
    let mut files = BTreeMap::new();
    for file in fs::read_dir(folder)? {
        let path = file?.path();
        let name = path.file_name().and_then(|name| name.to_str()).ok_or("a name is not UTF-8")?;
        files.insert(name.to_owned(), fs::read_to_string(Path::new(&path))?);
    }
    for (name, text) in &files {
        let Some(policy) = name.strip_suffix(".rego").filter(|policy| !policy.contains('.')) else {
            continue;
        };
        let inputs =
            files.get(&format!("{policy}.inputs.json")).ok_or(format!("{name}: no inputs"))?;
        let inputs: Vec<Value> = serde_json::from_str(inputs)?;
        let answer = if text.contains("\npackage countersign.authz\n")
            || text.starts_with("package countersign.authz\n")
        {
            of_authz(policy, &files)?
        } else {
            of_package(name, text)?
        };
        for (at, input) in inputs.iter().enumerate() {
            let answer = answer(input).map_err(|error| format!("{name}, input {at}: {error}"))?;
            println!("{}", json!({"policy": policy, "input": at, "answer": answer}));
        }
    }
    Ok(())
}

type Answers = Box<dyn Fn(&Value) -> Result<Value, Box<dyn Error>>>;

fn of_authz(policy: &str, files: &BTreeMap<String, String>) -> Result<Answers, Box<dyn Error>> {
    let mut directory = BTreeMap::new();
    for (name, text) in files {
        let mine = name.strip_prefix(policy).is_some_and(|rest| rest.starts_with('.'));
        if mine && name.ends_with(".rego") {
            directory.insert(name.clone(), text.clone());
        }
    }
    if let Some(data) = files.get(&format!("{policy}.data.json")) {
        let data: BTreeMap<String, Value> = serde_json::from_str(data)?;
        let named = data.iter().map(|(name, it)| (format!("data/{name}.json"), it.to_string()));
        directory.extend(named);
    }
    let authz = Authz::read(&directory).map_err(|error| format!("{policy}: {error}"))?;
    let authz = authz.ok_or("no rules")?;
    Ok(Box::new(move |input| {
        let text = |name: &str| input[name].as_str();
        let list =
            |name: &str| input[name].as_array().into_iter().flatten().filter_map(Value::as_str);
        let scopes = list("scopes").map(str::parse).collect::<Result<Permissions, _>>()?;
        let roles: Vec<Arc<str>> = list("roles").map(Arc::from).collect();
        let asked = Asked {
            method: text("method").ok_or("no method")?,
            path: text("path").ok_or("no path")?,
            scopes: &scopes,
            agent: text("agentId"),
            roles: &roles,
            tenant: text("tenant").ok_or("no tenant")?,
        };
        Ok(match authz.ask(&asked, NOW) {
            Answer::Allow => json!({"effect": "allow"}),
            Answer::Deny { reason, diagnostic } => {
                json!({"effect": "deny", "reason": reason.to_string(), "diagnostic": diagnostic})
            }
        })
    }))
}

fn of_package(name: &str, text: &str) -> Result<Answers, Box<dyn Error>> {
    let packages = Packages::read(&BTreeMap::from([(name.to_owned(), text.to_owned())]))?;
    let policies = Policies {
        matrix: Arc::new(Matrix::built_in()),
        registry: None,
        packages: Some(Arc::new(packages)),
        authz: None,
        routes: None,
    };
    Ok(Box::new(move |input| {
        let question = Json::from(input);
        let question =
            Question::read(&question, Form::Canonical).map_err(|error| format!("{error:?}"))?;
        let decision = policies.decide(&question, Holder::Stranger, NOW);
        let verdict = &decision.verdict;
        Ok(json!({
            "effect": verdict.effect,
            "reason": verdict.reason.to_string(),
            "obligations": verdict.obligations,
            "approval_level": verdict.approval_level,
            "diagnostic": verdict.diagnostics.first(),
        }))
    }))
}
