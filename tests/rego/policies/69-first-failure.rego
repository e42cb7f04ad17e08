# METADATA
# custom:
#   id: example.first_failure
#   version: v1
#   systems: [ops]
package example.first_failure

checks := [
	{"ok": input.action.name == "sign", "reason": "wrong_action"},
	{"ok": input.resource.type == "document", "reason": "wrong_type"},
	{"ok": ttl_ok, "reason": "ttl_out_of_bounds"},
	{"ok": startswith(input.context.key, "SHA256:"), "reason": "no_fingerprint"},
]

default ttl_ok := false

ttl_ok if {
	input.context.ttl >= 1
	input.context.ttl <= 24
}

failed := [check.reason | some check in checks; check.ok == false]

decision := {"effect": "allow", "reason": "all"} if count(failed) == 0

decision := {"effect": "deny", "reason": failed[0]} if count(failed) > 0
