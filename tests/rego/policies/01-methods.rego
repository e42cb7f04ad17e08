package countersign.authz

default allow := false

allow if input.method in {"GET", "HEAD", "OPTIONS"}

allow if {
	input.method == "POST"
	"agents:write" in input.scopes
}
