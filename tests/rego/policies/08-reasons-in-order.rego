package countersign.authz

default allow := false

allow if reason == "none"

reason := "no_agent" if input.agentId == null

else := "wrong_tenant" if not input.tenant in {"acme", "beta"}

else := "no_scope" if not "agents:read" in input.scopes

else := "none"
