package countersign.authz

name := lower(input.agentId)

allow if {
	contains(name, "screen")
	indexof(name, "-") > 0
	substring(name, 0, 3) == "agt"
	not endswith(name, "-old")
}

allow if upper(input.method) != input.method

reason := trim_suffix(trim_space(concat(" ", ["", replace(name, " ", "_"), ""])), "-old")
