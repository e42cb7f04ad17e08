package countersign.authz

routes := [
	{"path": "/a", "methods": ["GET"], "scope": "agents:read"},
	{"path": "/b", "methods": ["GET", "POST"], "scope": "agents:read"},
	{"path": "/b", "methods": ["DELETE"], "scope": "agents:delete"},
]

allow if {
	some i, j
	routes[i].path == input.path
	routes[i].methods[j] == input.method
	input.scopes[_] == routes[i].scope
}

reason := "no_route" if not input.path in {route.path | route := routes[_]}
