package countersign.authz

parts := split(input.path, "/")

allow if {
	parts[1] == "b64"
	base64.decode(parts[2]) == "open"
}

allow if {
	parts[1] == "url"
	urlquery.decode(parts[2]) == "a b"
}

allow if base64url.encode_no_pad(input.agentId) == "YWdlbnQtNw"

allow if hex.encode(input.tenant) == "7a"

reason := urlquery.encode("a.b")
