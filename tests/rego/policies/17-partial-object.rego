package countersign.authz

by_resource[resource] := actions if {
	some scope in input.scopes
	resource := split(scope, ":")[0]
	actions := {action |
		some other in input.scopes
		[resource, action] = split(other, ":")
	}
}

allow if "write" in by_resource.agents

reason := sprintf("resources-%d", [count(by_resource)])
