package countersign.authz

allow if "agents:read" in input.scopes
