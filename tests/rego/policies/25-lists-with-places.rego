package countersign.authz

positions := [i | input.roles[i] == "dev"]

allow if positions == [1]

allow if {
	some i
	input.roles[i] == "ops"
	i > 1
}

reason := concat("-", [format_int(i, 10) | some i in positions])
