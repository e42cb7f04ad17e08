package countersign.authz

allow if not startswith(input.agentId, "old-")
