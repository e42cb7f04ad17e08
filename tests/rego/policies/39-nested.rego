package countersign.authz

matrix := {role: {resource: actions |
	some resource, actions in resources
	count(actions) > 0
} |
	some role, resources in data.roles
}

allow if {
	some role in input.roles
	some scope in input.scopes
	[resource, action] := split(scope, ":")
	action in matrix[role][resource]
}

reason := sprintf("roles-%d", [count(matrix)])
