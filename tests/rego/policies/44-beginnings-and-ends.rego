package countersign.authz

allow if {
	strings.any_prefix_match(input.path, ["/api/v1/", "/api/v2/"])
	not strings.any_suffix_match(input.path, ["/..", "/.", "//"])
}

allow if strings.any_prefix_match(input.scopes, {"all:"})

allow if strings.reverse(input.path) == "dne/"
