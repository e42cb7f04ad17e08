# METADATA
# title: Records
# description: Who may read, write and delete records.
# custom:
#   id: example.records
#   version: v1
#   resource_types: [record]
package example.records

# `input` is the question; where it says nothing of a property, what the registry knows counts.
# `data.registry` holds what the registry knows alone: `subject` is there for those that are listed.

decision := {"effect": "allow", "reason": "listed"} if {
	input.action.name == "read"
	data.registry.subject
} else := {"effect": "allow", "reason": "author"} if {
	input.action.name == "write"
	input.subject.id == "alice"
	input.resource.properties.status == "active"
} else := {"effect": "allow", "reason": "archivist"} if {
	input.action.name == "write"
	input.subject.properties.role == "admin"
	input.resource.properties.status == "archived"
} else := {"effect": "allow", "reason": "soft-delete"} if {
	input.action.name == "delete"
	input.subject.id == "alice"
	input.action.properties.soft == true
} else := {"effect": "deny", "reason": "no_rule"}
