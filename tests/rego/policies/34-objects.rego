package countersign.authz

base := {"agents": "read", "tokens": "none"}

overlay := {"tokens": "write"} if "dev" in input.roles

else := {}

granted := object.union(base, overlay)

shown := object.remove(granted, ["agents"])

allow if granted[split(input.path, "/")[1]] == "write"

allow if {
	object.keys(granted) == {"agents", "tokens"}
	object.filter(granted, ["agents"]) == {"agents": "read"}
	input.path == "/agents"
	input.method == "GET"
}

reason := shown.tokens
