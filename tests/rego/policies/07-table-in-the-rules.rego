package countersign.authz

needed := {
	"GET": {"/api/v1/agents": {"agents:read"}, "/api/v1/tokens": {"tokens:read", "agents:read"}},
	"POST": {"/api/v1/agents": {"agents:write"}},
}

held := {scope | some scope in input.scopes}

missing := needed[input.method][input.path] - held

allow if count(missing) == 0

reason := "unknown_endpoint" if not needed[input.method][input.path]

reason := concat("", ["missing.", concat(".", [replace(scope, ":", "-") | some scope in sort(missing)])]) if count(missing) > 0
