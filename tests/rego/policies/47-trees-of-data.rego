package countersign.authz

allow if {
	some path, value in flat
	value == input.agentId
	path == split(input.path, "/")
}

flat := {"x": 1}

owners contains data.tree.owner

owners contains team.owner if some team in data.tree.teams

owners contains team.sub.owner if some team in data.tree.teams

allow if input.agentId in owners

reason := sprintf("owners-%d", [count(owners)])
