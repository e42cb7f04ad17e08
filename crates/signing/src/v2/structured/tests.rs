use proptest::prelude::*;

use super::*;

fn only(text: &str) -> Result<Value<'_>> {
    let mut members = dictionary(text)?;
    if members.len() == 1 {
        members.pop().map(|m| m.value).ok_or(Malformed)
    } else {
        Err(Malformed)
    }
}

#[test]
fn the_signature_fields_of_rfc_9421_are_read() {
    let field = r#"sig-b21=();created=1618884473;keyid="test-key-rsa-pss";nonce="b3k2pp5k7z-50gnwp.yemd", sig1=("@method" "content-digest";req);created=1"#;
    let members = dictionary(field).unwrap();
    assert_eq!(members.len(), 2);
    assert_eq!(members[0].key, "sig-b21");
    assert_eq!(members[0].value, Value::List(vec![]));
    assert_eq!(members[0].parameters[0], ("created", Bare::Integer(1_618_884_473)));
    assert_eq!(members[0].parameters[2].1, Bare::Text("b3k2pp5k7z-50gnwp.yemd".into()));
    let Value::List(items) = &members[1].value else { panic!("a list") };
    assert_eq!(items[0], (Bare::Text("@method".into()), vec![]));
    assert_eq!(items[1].1, vec![("req", Bare::Other)]);
}

#[test]
fn every_kind_of_item_is_read() {
    for (field, value) in [
        ("a=1", Bare::Integer(1)),
        ("a=-15", Bare::Integer(-15)),
        ("a=999999999999999", Bare::Integer(999_999_999_999_999)),
        ("a=1.5", Bare::Other),
        ("a=?1", Bare::Other),
        ("a", Bare::Other),
        ("a;b=2;c", Bare::Other),
        ("a=token/1:2*", Bare::Other),
        (r#"a="x\"y\\z ""#, Bare::Text(r#"x"y\z "#.into())),
        ("a=:aGVsbG8=:", Bare::Bytes(b"hello".to_vec())),
        ("  a=:: ", Bare::Bytes(vec![])),
    ] {
        assert_eq!(only(field), Ok(Value::Bare(value)), "{field}");
    }
    assert_eq!(dictionary("").unwrap(), vec![]);
    assert_eq!(dictionary("a=1 \t, \tb=2").unwrap().len(), 2);
    assert_eq!(dictionary("a=( 1  2 )").unwrap()[0].key, "a");
}

#[test]
fn what_is_no_dictionary_is_refused() {
    for wrong in [
        "A=1",
        "1=1",
        "=1",
        "a=",
        "a=1,",
        "a=1,,b=2",
        ",a=1",
        "a=1 b=2",
        "a=1;",
        "a=1;B",
        "a=1 ;b",
        "a=-",
        "a=1.",
        "a=1.1234",
        "a=.5",
        "a=1234567890123456",
        "a=1234567890123.1",
        "a=--1",
        "a=+1",
        "a=?2",
        "a=?",
        "a=\"",
        "a=\"\\x\"",
        "a=\"\\",
        "a=\"\u{e4}\"",
        "a=\"\u{7f}\"",
        "a=\"\n\"",
        "a=:a",
        "a=:a:",
        "a=:aGVsbG8:",
        "a=:aGVsbG9=:",
        "a=:aGVs bG8=:",
        "a=(",
        "a=(1",
        "a=(1\t2)",
        "a=(1,2)",
        "a=(1\"2\")",
        "a=((1))",
        "a=)",
        "a=ä",
        "ä=1",
        "a=@1",
        "a=1, a=2",
        "a=1;b=1;b=2",
        "a=()x",
    ] {
        assert_eq!(dictionary(wrong), Err(Malformed), "{wrong:?}");
    }
}

#[test]
fn there_is_a_bound_on_everything() {
    let members = |n: usize| (0..n).map(|i| format!("k{i}=1")).collect::<Vec<_>>().join(",");
    assert!(dictionary(&members(32)).is_ok() && dictionary(&members(33)).is_err());
    let items = |n: usize| format!("a=({})", vec!["1"; n].join(" "));
    assert!(dictionary(&items(32)).is_ok() && dictionary(&items(33)).is_err());
    let parameters = |n: usize| (0..n).fold("a".to_owned(), |text, i| format!("{text};k{i}"));
    assert!(dictionary(&parameters(32)).is_ok() && dictionary(&parameters(33)).is_err());
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(field in any::<String>()) {
        let _ = dictionary(&field);
    }

    #[test]
    fn anything_near_a_field_is_read_or_refused(
        field in "([a-z]{1,2}|[=;,:?\"() \t\\\\.*-]|[0-9]{1,3}|\u{e4}){0,40}"
    ) {
        let _ = dictionary(&field);
    }

    #[test]
    fn what_is_written_is_read_back(string in "[ -~]{0,40}", sequence: Vec<u8>) {
        let field = format!("a={}", text(&string));
        prop_assert_eq!(only(&field), Ok(Value::Bare(Bare::Text(string))));
        let field = format!("a={}", bytes(&sequence));
        prop_assert_eq!(only(&field), Ok(Value::Bare(Bare::Bytes(sequence))));
    }
}
