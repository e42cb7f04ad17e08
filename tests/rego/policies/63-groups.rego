# METADATA
# custom:
#   id: example.groups
#   version: v1
#   systems: [wiki]
package example.groups

groups := {"editors": ["ada", "bob"], "readers": ["eve"]}

member(group) if input.subject.id in groups[group]

decision := {"effect": "allow", "reason": "editor"} if member("editors")

else := {"effect": "allow", "reason": "reader"} if {
	member("readers")
	input.action.name == "read"
}

else := {"effect": "deny", "reason": concat("_", ["not", "a", input.subject.type])}
