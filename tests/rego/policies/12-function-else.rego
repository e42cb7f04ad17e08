package countersign.authz

level(roles) := 3 if {
	"infra" in roles
} else := 2 if {
	"approver" in roles
} else := 1 if {
	count(roles) > 0
} else := 0

allow if level(input.roles) >= 2

reason := sprintf("level-%d", [level(input.roles)])
