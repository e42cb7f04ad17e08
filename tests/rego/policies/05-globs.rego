package countersign.authz

allow if {
	glob.match("/api/*/agents/*", ["/"], input.path)
	input.method == "GET"
}

allow if {
	glob.match("/files/**", ["/"], input.path)
	"files:read" in input.scopes
}

allow if glob.match("/v{1,2}/ping", ["/"], input.path)
