package countersign.authz

segments := split(trim_prefix(input.path, "/"), "/")

allow if {
	count(segments) == 4
	[segments[0], segments[1], segments[2]] == ["api", "v1", "agents"]
	segments[3] == input.agentId
}

reason := "own_agent_only" if {
	segments[2] == "agents"
	not allow
}
