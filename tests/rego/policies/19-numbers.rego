package countersign.authz

depth := count(split(input.path, "/")) - 1

weight := (depth * 2) + (count(input.scopes) * -1)

allow if {
	weight <= 6
	weight % 2 == 0
	weight / 2 < 3
}

reason := sprintf("weight%d", [weight])
