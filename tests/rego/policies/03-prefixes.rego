package countersign.authz

import rego.v1

public := ["/health", "/.well-known/", "/metrics"]

allow if {
	some prefix in public
	startswith(input.path, prefix)
}

allow if {
	startswith(input.path, "/api/v1/agents/")
	"agents:read" in input.scopes
}

reason := "not_public" if not allow
