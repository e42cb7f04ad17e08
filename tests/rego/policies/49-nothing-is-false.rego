package countersign.authz

flags := {"on": true, "off": false}

allow if {
	flags[input.tenant] == false
	input.method == "GET"
}

allow if {
	flags[input.tenant]
	not flags.off
	input.method == "POST"
}

allow if {
	not flags[input.tenant]
	input.method == "PUT"
}

reason := sprintf("%v", [flags[input.tenant]])
