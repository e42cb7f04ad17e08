# METADATA
# custom:
#   id: example.clearances
#   version: v1
#   systems: [archive]
package example.clearances

order := ["public", "internal", "secret"]

rank(label) := i if {
	some i, name in order
	name == label
}

subject_rank := rank(input.subject.properties.clearance)

resource_rank := rank(input.resource.properties.label)

decision := {"effect": "allow", "reason": "cleared"} if subject_rank >= resource_rank

decision := {"effect": "deny", "reason": sprintf("needs-%s", [input.resource.properties.label])} if subject_rank < resource_rank
