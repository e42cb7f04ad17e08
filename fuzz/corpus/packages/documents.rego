default decision := {"effect": "deny", "reason": "no_rule"}
decision := {"effect": "allow", "reason": "owner"} if {
	input.action.name == "read"
	input.resource.properties.owner == input.subject.id
}
decision := {"effect": "requires_approval", "reason": "editor", "approval_level": 2} if {
	input.action.name == "write"
	"editor" in data.registry.subject.roles
}
