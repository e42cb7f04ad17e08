package countersign.authz

allow if {
	regex.match(`^/api/v[0-9]+/agents/[a-z0-9-]{1,36}$`, input.path)
	input.method != "DELETE"
}

allow if {
	regex.match("^/admin(/|$)", input.path)
	"infra" in input.roles
}
