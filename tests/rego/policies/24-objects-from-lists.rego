package countersign.authz

index := {scope: i | some i, scope in input.scopes}

by_action := {action: resources |
	some scope in input.scopes
	action := split(scope, ":")[1]
	resources := [resource |
		some other in input.scopes
		[resource, other_action] := split(other, ":")
		other_action == action
	]
}

allow if index["agents:read"] == 0

allow if by_action.read == ["tokens", "agents"]

reason := sprintf("n%d", [count(by_action)])
