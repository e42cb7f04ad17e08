use insta::assert_snapshot;
use serde_json::json;

use crate::double::{Double, answer};
use crate::run;

#[test]
fn a_servers_settings_are_the_same_table_with_its_warnings() {
    let config = json!({
        "data": [
            {"name": "PORT", "value": "8443", "source": "flag", "meaning": "port"},
            {"name": "MASTER_KEY", "value": "***", "source": "secretfile", "meaning": "a key"},
            {"name": "REDIS_URL", "value": null, "source": "default", "meaning": "an address"},
        ],
        "warnings": ["`PROT` is not known\u{1b}[2J"],
    });
    let double = Double::answering([answer(200, config)]);
    let ran = run(&double, &["config", "remote"]);
    assert_eq!(ran.code, Some(0));
    assert_snapshot!(ran.stdout, @r"
    SETTING     VALUE  FROM        MEANING
    PORT        8443   flag        port
    MASTER_KEY  ***    secretfile  a key
    REDIS_URL   -      default     an address
    ");
    assert_snapshot!(ran.stderr, @r"warning: `PROT` is not known\u{1b}[2J");
    assert_snapshot!(double.lines(), @"GET /api/v1/config");
}

#[test]
fn a_server_has_settings_of_its_own() {
    let double = Double::answering([]);
    for more in [["--set", "PORT=1"], ["--config", "countersign.toml"]] {
        let ran = run(&double, &[&["config", "remote"], &more[..]].concat());
        assert_eq!(ran.code, Some(2));
        assert!(ran.stderr.contains("settings of its own"), "{}", ran.stderr);
    }
}
