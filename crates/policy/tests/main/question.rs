//! Questions as they come in.

use countersign_policy::{Form, Json, Question};
use serde_json::{Value, json};

fn asked() -> Value {
    json!({
        "subject": {"type": "agent", "id": "a"}, "action": "read",
        "resource": {"type": "agents", "id": "*"},
    })
}

#[track_caller]
fn refused(value: &Value, form: Form) -> String {
    Question::read(&Json::from(value), form).unwrap_err().to_string()
}

#[test]
fn what_is_absent_is_empty_or_null_and_the_tenant_is_the_subjects() {
    let mut value = asked();
    let text = Question::read(&Json::from(&value), Form::Check).unwrap().canonical();
    assert_eq!(
        text,
        concat!(
            r#"{"action":{"name":"read","properties":{}},"context":{},"#,
            r#""resource":{"id":"*","properties":{},"system":null,"type":"agents"},"#,
            r#""subject":{"id":"a","properties":{},"tenant":null,"type":"agent"},"tenant":null}"#
        )
    );
    value["subject"]["tenant"] = "acme".into();
    let text = Question::read(&Json::from(&value), Form::Check).unwrap().canonical();
    assert!(text.ends_with(r#""tenant":"acme","type":"agent"},"tenant":"acme"}"#), "{text}");
}

#[test]
fn one_question_in_three_forms_is_one_question() {
    let check = asked();
    let check = Question::read(&Json::from(&check), Form::Check).unwrap().canonical();
    let canonical: Value = serde_json::from_str(&check).unwrap();
    assert_eq!(
        Question::read(&Json::from(&canonical), Form::Canonical).unwrap().canonical(),
        check
    );
    let mut authzen = asked();
    authzen["action"] = json!({"name": "read", "unknown": 1});
    authzen["options"] = json!({});
    assert_eq!(Question::read(&Json::from(&authzen), Form::AuthZen).unwrap().canonical(), check);
}

#[test]
fn what_is_missing_or_not_what_it_must_be_is_named() {
    let with = |pointer: &str, value: Value| {
        let mut asked = asked();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        let parent = asked.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        match value {
            Value::Null => parent.remove(name),
            value => parent.insert(name.to_owned(), value),
        };
        asked
    };
    for (pointer, value, told) in [
        ("/subject", Value::Null, "/subject: is missing"),
        ("/subject", json!("a"), "/subject: must be an object"),
        ("/subject/id", Value::Null, "/subject/id: is missing"),
        ("/subject/id", json!(""), "/subject/id: is empty"),
        ("/subject/id", json!(1), "/subject/id: must be text"),
        ("/subject/id", json!("a\u{0}"), "/subject/id: has a control character"),
        ("/subject/id", json!("x".repeat(1025)), "/subject/id: is longer than 1024 bytes"),
        ("/subject/roles", json!(["infra"]), "/subject/roles: is not known"),
        ("/subject/properties", json!([]), "/subject/properties: must be an object"),
        ("/action", Value::Null, "/action: is missing"),
        ("/action", json!(1), "/action: must be an object"),
        ("/action", json!({"name": "read", "more": 1}), "/action/more: is not known"),
        ("/resource/type", Value::Null, "/resource/type: is missing"),
        ("/resource/system", json!(true), "/resource/system: must be text"),
        ("/context", json!("now"), "/context: must be an object"),
        ("/tenant", json!([]), "/tenant: must be text"),
        ("/a~b", json!(1), "/a~0b: is not known"),
    ] {
        assert_eq!(refused(&with(pointer, value), Form::Check), told);
    }
    for other in [json!(null), json!([]), json!("x")] {
        assert_eq!(refused(&other, Form::Check), "the text: must be an object");
    }
    assert_eq!(refused(&asked(), Form::AuthZen), "/action: must be an object");
}
