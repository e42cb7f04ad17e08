package countersign.authz

allow if {
	[_, "api", version, resource] = split(input.path, "/")
	version in {"v1", "v2"}
	sprintf("%s:read", [resource]) in input.scopes
}

allow if {
	[_, kind, id] := split(input.path, "/")
	kind == "self"
	id == input.agentId
}
