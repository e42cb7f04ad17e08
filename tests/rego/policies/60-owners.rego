# METADATA
# custom:
#   id: example.owners
#   version: v1
#   systems: [docs]
package example.owners

default decision := {"effect": "deny", "reason": "no_rule"}

decision := {"effect": "allow", "reason": "owner"} if {
	input.action.name in {"read", "write"}
	input.resource.properties.owner == input.subject.id
} else := {"effect": "allow", "reason": "public"} if {
	input.action.name == "read"
	object.get(input.resource.properties, "public", false)
}
