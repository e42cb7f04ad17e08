package example.records_test

import data.example.records

# Who is listed reads; who is not does not.
test_listed_reads if {
	question := {"action": {"name": "read"}, "subject": {"type": "user", "id": "bob"}}
	records.decision.effect == "allow" with input as question with data.registry.subject as {"roles": []}
	records.decision.reason == "no_rule" with input as question
}

test_archivist_writes_what_is_archived if {
	every status, effect in {"archived": "allow", "active": "deny"} {
		records.decision.effect == effect with input as {
			"action": {"name": "write"},
			"subject": {"type": "user", "id": "carol", "properties": {"role": "admin"}},
			"resource": {"type": "record", "id": "1", "properties": {"status": status}},
		}
	}
}
