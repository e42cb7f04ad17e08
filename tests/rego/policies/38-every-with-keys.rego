package countersign.authz

rules := {"agents": 2, "tokens": 1}

uses := {name: n |
	some name, _ in rules
	n := count([scope | some scope in input.scopes; startswith(scope, concat("", [name, ":"]))])
}

allow if {
	every name, n in uses {
		n <= rules[name]
	}
}

reason := "too_many"
