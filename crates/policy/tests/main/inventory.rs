//! The inventory of SSH actors, the snapshot that follows from it, and what differs between snapshots.

use countersign_policy::{Inventory, Registry, differences};
use insta::{assert_json_snapshot, assert_snapshot};
use serde_json::{Value, json};

/// What the known snapshot was made of.
const KNOWN: &str = "
actors:
  agt-state-hub-bridge: {type: agt, principals: [agt-task-bridge], ttl_hours: 24, description: ''}
  agt-codex-interhub-bootstrap:
    type: agt
    principals: [agt-interhub-bootstrap]
    ttl_hours: 2
    description: ''
  adm-example: {type: adm, principals: [adm-full], ttl_hours: 48, description: ''}
  atm-backup-daily: {type: atm, principals: [atm-backup], ttl_hours: 8, description: ''}
";

fn faults(text: &str) -> String {
    Inventory::read(text).unwrap_err().to_string()
}

#[test]
fn the_known_snapshot_follows_from_its_inventory() {
    let inventory = Inventory::read(KNOWN).unwrap();
    let snapshot = inventory.snapshot("tenant:platform");
    let known: Value = serde_json::from_str(&crate::vector("registry-snapshot.json")).unwrap();
    assert_eq!(differences(&known, &snapshot), []);
    let built = Registry::parse(&snapshot.to_string()).unwrap();
    assert_eq!(built.digest(), Registry::parse(&known.to_string()).unwrap().digest());
}

#[test]
fn what_an_actor_says_stands_in_its_resource() {
    let text = "actors:\n  agt-state-bridge:\n    type: agt\n    principals: [a, b]\n    ttl_hours: 8\n    \
        max_ttl_hours: 24\n    description: moves state\n    subjects: [ada, agt-state-bridge]\n    \
        source_addresses: [10.0.0.0/8, '2001:db8::1']\n    force_command: /bin/true\n";
    let snapshot = Inventory::read(text).unwrap().snapshot("default");
    Registry::parse(&snapshot.to_string()).unwrap();
    assert_json_snapshot!(snapshot["resource_manifests"][0]["resources"][0], @r#"
{
  "attributes": {
    "actor_name": "agt-state-bridge",
    "actor_type": "agt",
    "allowed_principals": [
      "a",
      "b"
    ],
    "allowed_subjects": [
      "agt-state-bridge",
      "iam:agt-state-bridge",
      "ada"
    ],
    "default_ttl_hours": 8,
    "description": "moves state",
    "force_command": "/bin/true",
    "max_ttl_hours": 24,
    "min_ttl_hours": 1,
    "source_addresses": [
      "10.0.0.0/8",
      "2001:db8::1"
    ]
  },
  "id": "ssh-cert:actor/agt-state-bridge",
  "type": "ssh-certificate"
}
"#);
    assert_json_snapshot!(snapshot["groups"], @r#"
[
  {
    "display_name": "agt",
    "id": "group:agt",
    "members": [
      "agt-state-bridge"
    ]
  }
]
"#);
}

#[test]
fn what_can_not_be_used_is_told_with_its_place() {
    let actor = |name: &str, more: &str| {
        format!(
            "actors: {{{name}: {{type: agt, principals: [p], ttl_hours: 8, description: d{more}}}}}"
        )
    };
    let all = [
        "".to_owned(),
        "actors: 1".to_owned(),
        "actors: {".to_owned(),
        "actors: {}\nmore: 1".to_owned(),
        "actors: {agt-a-b: {type: agt}}".to_owned(),
        "actors: {agt-a-b: {type: usr, principals: [p], ttl_hours: 8, description: d}}".to_owned(),
        actor("adm-a-b", ""),
        actor("agt-A-b", ""),
        actor("agt", ""),
        actor("agt-a-b", ", colour: red"),
        actor("agt-a-b", ", max_ttl_hours: 25"),
        actor("agt-a-b", ", max_ttl_hours: 4"),
        actor("agt-a-b", ", max_ttl_hours: -1"),
        actor("agt-a-b", ", subjects: ['']"),
        actor("agt-a-b", ", source_addresses: [10.0.0.0/33]"),
        actor("agt-a-b", "").replace("[p]", "[]"),
        format!("{0}\n{0}", actor("agt-a-b", "")),
        "a: &a [1,1]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nactors: {}".to_owned(),
        format!("actors: {}1{}", "[".repeat(100_000), "]".repeat(100_000)),
    ];
    let told: Vec<String> = all.iter().map(|text| faults(text)).collect();
    assert_snapshot!(told.join("\n"), @r#"
not a usable inventory; the text: unexpected end of input at line 1, column 1
not a usable inventory; the text: line 1 column 9: expected mapping start
not a usable inventory; the text: line 1 column 9: unclosed bracket '{'
not a usable inventory; the text: line 2 column 1: unknown field `more`, expected one of actors
not a usable inventory; /actors/agt-a-b: missing field `principals`
not a usable inventory; /actors/agt-a-b/type: must be `adm`, `agt` or `atm`
not a usable inventory; /actors/adm-a-b: the name must be `agt-SCOPE-PURPOSE`, of lower-case letters and digits
not a usable inventory; /actors/agt-A-b: the name must be `agt-SCOPE-PURPOSE`, of lower-case letters and digits
not a usable inventory; /actors/agt: the name must be `agt-SCOPE-PURPOSE`, of lower-case letters and digits
not a usable inventory; /actors/agt-a-b: unknown field `colour`, expected one of `type`, `principals`, `ttl_hours`, `max_ttl_hours`, `description`, `subjects`, `source_addresses`, `force_command`
not a usable inventory; /actors/agt-a-b/max_ttl_hours: must be 1 to 24 for `agt`
not a usable inventory; /actors/agt-a-b/ttl_hours: must be 1 to 4
not a usable inventory; /actors/agt-a-b: invalid value: integer `-1`, expected u32
not a usable inventory; /actors/agt-a-b/subjects: must name at least one, and none that is empty
not a usable inventory; /actors/agt-a-b/source_addresses: `10.0.0.0/33` is no address or network such as `10.0.0.0/8`
not a usable inventory; /actors/agt-a-b/principals: must name at least one, and none that is empty
not a usable inventory; the text: line 2 column 1: duplicate mapping key: actors
not a usable inventory; the text: line 1 column 1: unknown field `a`, expected one of actors
not a usable inventory; the text: line 1 column 9: expected mapping start
"#);
}

#[test]
fn what_differs_is_named_by_what_it_is() {
    let one = Inventory::read(KNOWN).unwrap().snapshot("tenant:platform");
    assert_eq!(differences(&one, &one), []);
    let mut other = one.clone();
    other["resource_manifests"][0]["resources"][0]["attributes"]["max_ttl_hours"] = json!(1);
    other["resource_manifests"][0]["resources"].as_array_mut().unwrap().remove(3);
    other["relationships"][0]["relation"] = json!("reader");
    other["subjects"][2]["roles"] = json!(["infra"]);
    other["tenant"] = json!("default");
    assert_json_snapshot!(differences(&one, &other), @r#"
[
  {
    "change": "changed",
    "kind": "snapshot",
    "id": "-",
    "members": [
      "tenant"
    ]
  },
  {
    "change": "added",
    "kind": "relationship",
    "id": "group:adm reader system:ops-warden"
  },
  {
    "change": "removed",
    "kind": "relationship",
    "id": "group:adm signer system:ops-warden"
  },
  {
    "change": "changed",
    "kind": "resource",
    "id": "ssh-cert:actor/agt-state-hub-bridge",
    "members": [
      "attributes.max_ttl_hours"
    ]
  },
  {
    "change": "removed",
    "kind": "resource",
    "id": "ssh-cert:actor/atm-backup-daily"
  },
  {
    "change": "changed",
    "kind": "subject",
    "id": "adm-example",
    "members": [
      "roles"
    ]
  }
]
"#);
}
