package countersign.authz

reads if input.method in {"GET", "HEAD"}

allow if {
	reads
	"agents:read" in input.scopes
}

allow if {
	input.method == "OPTIONS"
	"agents:read" in input.scopes
}
