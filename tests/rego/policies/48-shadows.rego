package countersign.authz

path := "/rule"

allow if {
	path := input.path
	path == "/a"
}

allow if {
	some word in [input.tenant]
	word == "open"
}

allow if f("/x")

f(path) if path == input.path

reason := trim_left(path, "/")
